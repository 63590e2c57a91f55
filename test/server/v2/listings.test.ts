import { expect } from "chai";
import { indexType, pushManifest } from "../../support/oci-image.ts";
import { startRegistry, type RegistryServer } from "../../support/registry-server.ts";

const manifest = { schemaVersion: 2, manifests: [] };

describe("V2 listings", () => {
  let server: RegistryServer;
  const tags = Array.from({ length: 25 }, (_, index) => `v${index}`).sort();
  const repositories = ["a", "a-b", "a/b", "a/b-c", "b"];
  before(async () => {
    server = await startRegistry();
    for (const name of repositories) await pushManifest(server.client, name, "latest", manifest, indexType);
    for (const tag of tags) await pushManifest(server.client, "a", tag, manifest, indexType);
    await server.client.expect([202], "DELETE", "/v2/a/manifests/latest");
  });
  after(async () => {
    await server.close();
  });
  const get = async (path: string) => {
    const answer = await server.client.expect([200], "GET", path);
    const next = /^<([^>]+)>; rel="next"$/.exec(String(answer.headers["link"]))?.[1];
    return {
      value: JSON.parse(answer.body.toString()) as { name: string; tags: string[]; repositories: string[] },
      next,
    };
  };

  it("hold all tags, in byte order (end-8a)", async () => {
    expect((await get("/v2/a/tags/list")).value).to.deep.equal({ name: "a", tags });
  });

  it("come in pages that link to the next, while there is more (end-8b)", async () => {
    for (const n of [1, 7, 24, 25, 26]) {
      const seen: string[] = [];
      for (let path: string | undefined = `/v2/a/tags/list?n=${n}`; path !== undefined;) {
        const { value, next } = await get(path);
        expect(value.tags.length).to.be.at.most(n);
        seen.push(...value.tags);
        path = next;
      }
      expect(seen).to.deep.equal(tags);
    }
    expect((await get("/v2/a/tags/list?n=25")).next).to.equal(undefined);
    expect(await get(`/v2/a/tags/list?n=${"9".repeat(20)}`)).to.deep.equal(await get("/v2/a/tags/list?n=25"));
  });

  it("begin beyond `last`, whether it is there or not", async () => {
    expect((await get("/v2/a/tags/list?last=v3")).value.tags).to.deep.equal(tags.filter((tag) => tag > "v3"));
    expect((await get("/v2/a/tags/list?last=v2zz")).value.tags).to.deep.equal(tags.filter((tag) => tag > "v2zz"));
    expect((await get("/v2/a/tags/list?last=zzz")).value.tags).to.deep.equal([]);
  });

  it("of nothing are empty and end there", async () => {
    const { value, next } = await get("/v2/a/tags/list?n=0");
    expect([value.tags, next]).to.deep.equal([[], undefined]);
  });

  it("hold every repository once, in byte order (_catalog)", async () => {
    expect((await get("/v2/_catalog")).value).to.deep.equal({ repositories });
    const first = await get("/v2/_catalog?n=2");
    expect(first.value.repositories).to.deep.equal(["a", "a-b"]);
    expect((await get(first.next ?? "")).value.repositories).to.deep.equal(["a/b", "a/b-c"]);
  });
});
