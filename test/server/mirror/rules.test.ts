import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import { hashed } from "../../../src/server/accounts/password-hash.ts";
import { FaultyUpstream } from "../../support/faulty-upstream.ts";
import { basic } from "../../support/guarded-registry.ts";
import { digestOf, imageManifest, pushManifest } from "../../support/oci-image.ts";
import { removeFolder, temporaryFolder } from "../../support/program.ts";
import { startRegistry, type RegistryServer } from "../../support/registry-server.ts";
import { smallChain } from "../../support/v1-images.ts";

/** Who may pull nothing of what is mirrored, and how they are refused what they ask for. */
const denied = [
  { who: "nobody", headers: {}, status: 401 },
  { who: "a wrong password", headers: basic("reader", "wrong"), status: 401 },
  { who: "an account of other repositories", headers: basic("other"), status: 403 },
];
const userAgent = "tests";

describe("a mirror with rules", function () {
  this.timeout(180_000);
  let folder: string;
  let source: RegistryServer;
  let upstream: FaultyUpstream;
  let ofV1: FaultyUpstream;
  let mirror: RegistryServer;
  let blob: string;
  let host: string;

  before(async () => {
    folder = await temporaryFolder("rules");
    const users = ["reader", "other"].map(async (name) => `${name}:${await hashed(`${name}-secret`, 4)}\n`);
    await writeFile(join(folder, "users"), (await Promise.all(users)).join(""));
    source = await startRegistry();
    upstream = await FaultyUpstream.start(source.url);
    ofV1 = await FaultyUpstream.start(source.url);
    host = new URL(upstream.url).host;
    mirror = await startRegistry({
      auth: {
        htpasswd: join(folder, "users"),
        rules: [
          { who: ["reader"], repositories: ["foo/*", "old/*"], actions: ["pull"] },
          { who: ["other"], repositories: ["other/*"], actions: ["all"] },
        ],
      },
      mirroring: {
        upstreams: [
          { url: upstream.url, tags_cache_ttl: 0 },
          { url: ofV1.url, prefix: "old", protocol: "v1", tags_cache_ttl: 0 },
        ],
      },
    });
    const manifest = await imageManifest(source.client, "foo/app", "mirrored");
    await pushManifest(source.client, "foo/app", "v1", manifest);
    ({
      layers: [{ digest: blob }],
    } = manifest as unknown as { layers: [{ digest: string }] });
    await source.client.push("foo/v1", "v1", await smallChain(2));
  });
  beforeEach(() => {
    calm();
  });
  after(async () => {
    await mirror.close();
    for (const each of [upstream, ofV1]) await each.stop();
    await source.close();
    await removeFolder(folder);
  });

  const asked = () => [...upstream.requests, ...ofV1.requests];
  const calm = (): void => {
    for (const each of [upstream, ofV1]) each.calm();
  };
  const client = () => mirror.connect({ userAgent });
  const ask = async (headers: Record<string, string>, path: string, method = "GET") =>
    await client().send(method, path, { headers });
  const repositoryPaths = () => [
    "/v2/foo/app/manifests/v1",
    `/v2/foo/app/manifests/${digestOf("nothing has this")}`,
    `/v2/foo/app/manifests/v1?ns=${host}`,
    `/v2/app/manifests/v1?ns=${host}`,
    `/v2/foo/app/blobs/${blob}`,
    `/v2/foo/app/blobs/${blob}?ns=${host}`,
    "/v2/foo%2Fapp/manifests/v1",
    "/v2/foo/app/tags/list",
    `/v2/foo/app/referrers/${digestOf("nothing has this")}`,
    "/v2/old/foo/v1/manifests/v1",
    "/v2/old/foo/v1/tags/list",
    "/v1/repositories/foo/app/tags",
    "/v1/repositories/foo/app/tags/v1",
    "/v1/repositories/foo/app/images",
    "/v1/repositories/foo/app/json",
    "/v1/repositories/old/foo%2Fv1/tags",
    "/v1/repositories/old/foo%2Fv1/tags/v1",
    "/v1/repositories/old/foo%2Fv1/images",
  ];
  const expectDenied = async (path: string) => {
    for (const { who, headers, status } of denied) {
      for (const method of ["GET", "HEAD"]) {
        const answer = await ask(headers, path, method);
        expect(answer.status, `${who}: ${method} ${path}`).to.equal(status);
        expect(answer.body.toString()).not.to.match(/sha256|digest|layer/);
        expect(answer.headers).not.to.have.any.keys("docker-content-digest", "location", "etag");
      }
    }
    expect(asked(), path).to.deep.equal([]);
  };

  it("asks nobody for those who may not pull, before it has anything and when it has", async () => {
    for (const path of repositoryPaths()) await expectDenied(path);
    const reader = client();
    for (const path of ["/v2/foo/app/manifests/v1", `/v2/foo/app/blobs/${blob}`]) {
      await reader.expect([200], "GET", path, { headers: basic("reader") });
    }
    expect(asked()).not.to.deep.equal([]);
    calm();
    for (const path of repositoryPaths()) await expectDenied(path);
  });

  it("lets those pull who may, also by ?ns=", async () => {
    for (const path of [`/v2/foo/app/manifests/v1?ns=${host}`, `/v2/foo/app/blobs/${blob}?ns=${host}`]) {
      expect((await ask(basic("reader"), path)).status, path).to.equal(200);
    }
    for (const repository of ["foo/app", "old/foo%2Fv1"]) {
      const { body } = await client().expect([200], "GET", `/v1/repositories/${repository}/tags`, {
        headers: basic("reader"),
      });
      expect(JSON.parse(body.toString())).to.have.property("v1");
    }
  });

  for (const [what, repository] of [
    ["made of a manifest of the source", "foo/v1"],
    ["of a V1 source", "old/foo%2Fv1"],
  ] as const) {
    it(`shows an image of V1 ${what} to those who may pull it, and fetches it for nobody else`, async () => {
      const { body } = await client().expect([200], "GET", `/v1/repositories/${repository}/tags`, {
        headers: basic("reader"),
      });
      const { v1: id = "" } = JSON.parse(body.toString()) as { v1?: string };
      expect(id).to.match(/^[0-9a-f]{64}$/);
      calm();
      const paths = ["json", "ancestry", "layer", "files", "diff"].map((file) => `/v1/images/${id}/${file}`);
      const hidden = async () => {
        for (const { headers, status } of denied) {
          for (const path of paths) {
            expect((await ask(headers, path)).status, path).to.equal(status === 403 ? 404 : status);
          }
        }
        expect(asked()).to.deep.equal([]);
      };
      await hidden();
      for (const path of paths) expect((await ask(basic("reader"), path)).status, path).to.equal(200);
      calm();
      await hidden();
    });
  }

  it("names in lists what one may pull alone", async () => {
    for (const [name, wanted] of [
      ["reader", true],
      ["other", false],
    ] as const) {
      const { body } = await client().expect([200], "GET", "/v2/_catalog", { headers: basic(name) });
      expect(body.toString().includes("foo/app")).to.equal(wanted);
    }
    expect(asked()).to.deep.equal([]);
  });
});
