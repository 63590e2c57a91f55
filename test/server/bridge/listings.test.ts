import { join } from "node:path";
import { expect } from "chai";
import { pushImage, sampleLayer } from "../../support/bridged-registry.ts";
import { removeFolder, temporaryFolder, until } from "../../support/program.ts";
import { startRegistry, type RegistryServer } from "../../support/registry-server.ts";
import { smallChain } from "../../support/v1-images.ts";
import type { V1Image } from "../../support/v1-client.ts";

describe("lists of what both protocols have", function () {
  this.timeout(180_000);
  let folder: string;
  let server: RegistryServer;
  let image: V1Image;
  beforeEach(async () => {
    folder = await temporaryFolder();
    server = await start("index.db");
    [image] = (await smallChain(1, 50)) as [V1Image];
  });
  afterEach(async () => {
    await server.close();
    await removeFolder(folder);
  });
  const start = async (database: string) =>
    await startRegistry({
      storage: "local",
      storage_path: join(folder, "store"),
      search_backend: "database",
      sqlalchemy_index_database: `sqlite:///${join(folder, database)}`,
    });
  const v1 = async (repository: string, tag = "v1") => {
    await server.client.push(repository, tag, [image]);
  };
  const v2 = async (name: string, tag = "v1") => {
    await pushImage(server.client, name, tag, [sampleLayer("any")]);
  };
  const get = async (path: string) => {
    const answer = await server.client.expect([200], "GET", path);
    const next = /^<([^>]+)>; rel="next"$/.exec(String(answer.headers["link"]))?.[1];
    return {
      value: JSON.parse(answer.body.toString()) as { tags: string[]; repositories: string[] },
      next,
    };
  };
  const pages = async (path: string, field: "tags" | "repositories") => {
    const seen: string[] = [];
    for (let url: string | undefined = path; url !== undefined;) {
      const { value, next } = await get(url);
      seen.push(...value[field]);
      url = next;
    }
    return seen;
  };
  const found = async (text: string, registry = server) => {
    const { body } = await registry.client.expect([200], "GET", `/v1/search?q=${text}`);
    return (JSON.parse(body.toString()) as { results: { name: string }[] }).results.map(({ name }) => name);
  };

  it("hold each repository once, in byte order, on pages of any size", async () => {
    const inV1 = ["a/z", "a-b/c", "a/b/c", "a/b-c", "a/b.d", "team/one", "both/of-them"];
    const inV2 = ["a", "a-c", "a/b", "team/one/below", "team-two/x", "both/of-them", "zoo"];
    for (const name of inV1) await v1(name);
    for (const name of inV2) await v2(name);
    for (const odd of ["UPPER/case", "under/_score"]) await v1(odd);
    await server.client.expect([200], "PUT", "/v1/repositories/no/tags/", { body: Buffer.from("[]") });
    const all = [...new Set([...inV1, ...inV2])].sort();
    expect((await get("/v2/_catalog")).value.repositories).to.deep.equal(all);
    for (const n of [1, 2, 5, 13, 14]) {
      expect(await pages(`/v2/_catalog?n=${n}`, "repositories"), `n=${n}`).to.deep.equal(all);
    }
    for (const last of ["a", "a/", "a/b", "a/b-", "a/b/", "a-b/c", "team", "team/one", "zzz"]) {
      const { value } = await get(`/v2/_catalog?last=${encodeURIComponent(last)}`);
      expect(value.repositories, last).to.deep.equal(all.filter((name) => name > last));
    }
  });

  it("hold each tag once, in byte order, on pages of any size, without those that V2 can't spell", async () => {
    const inV1 = ["1.0", "B", "a", "both", "v-2", "v.2"];
    const inV2 = ["0.9", "_x", "both", "v", "v_2"];
    for (const tag of [...inV1, "with space", "-dash"]) await v1("foo/bar", encodeURIComponent(tag));
    for (const tag of inV2) await v2("foo/bar", tag);
    const all = [...new Set([...inV1, ...inV2])].sort();
    for (const n of [1, 2, 5, 9, 10, 11]) {
      expect(await pages(`/v2/foo/bar/tags/list?n=${n}`, "tags"), `n=${n}`).to.deep.equal(all);
    }
    for (const last of ["0", "B", "both", "v", "zz"]) {
      const { value } = await get(`/v2/foo/bar/tags/list?last=${last}`);
      expect(value.tags, last).to.deep.equal(all.filter((tag) => tag > last));
    }
    await server.client.expect([404], "GET", "/v2/foo/other/tags/list");
  });

  it("hold docker's own once, by the name that has what there is", async () => {
    await v1("busybox");
    expect(await pages("/v2/_catalog", "repositories")).to.deep.equal(["library/busybox"]);
    for (const name of ["busybox", "library/busybox"]) {
      await server.client.expect([200], "GET", `/v2/${name}/manifests/v1`);
      expect((await get(`/v2/${name}/tags/list`)).value.tags).to.deep.equal(["v1"]);
    }
    expect(await pages("/v2/_catalog", "repositories")).to.deep.equal(["library/busybox"]);
    expect(await found("busybox")).to.deep.equal(["library/busybox"]);
    await v2("busybox", "v2");
    expect(await pages("/v2/_catalog", "repositories")).to.deep.equal(["busybox"]);
    expect(await found("busybox")).to.deep.equal(["busybox"]);
    await v1("busybox", "v3");
    expect(await found("busybox")).to.deep.equal(["busybox"]);
    await v2("library/busybox", "v2");
    expect(await pages("/v2/_catalog", "repositories")).to.deep.equal(["busybox", "library/busybox"]);
    await server.client.expect([200], "DELETE", "/v1/repositories/busybox/");
    expect(await found("busybox")).to.deep.equal([]);
    expect(await pages("/v2/_catalog", "repositories")).to.deep.equal([]);
  });

  it("are what a search index is filled with that is new", async () => {
    await v1("busybox");
    await v2("busybox", "v2");
    await v1("team/one");
    await v1("team/two/three");
    await v2("team/two/three", "v2");
    const expected = ["busybox", "team/one", "team/two/three"];
    expect([...(await found("busybox")), ...(await found("team"))]).to.deep.equal(expected);
    const second = await start("second.db");
    try {
      await until("the fill", async () => (await found("team", second)).length > 0);
      expect([...(await found("busybox", second)), ...(await found("team", second))]).to.deep.equal(expected);
    } finally {
      await second.close();
    }
  });
});
