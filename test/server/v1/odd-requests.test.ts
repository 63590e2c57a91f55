import { expect } from "chai";
import { v1Headers } from "../../../src/server/v1/index.ts";
import { koaServer } from "../../support/koa-server.ts";
import { RawConnection } from "../../support/raw-connection.ts";
import { startRegistry, type RegistryServer } from "../../support/registry-server.ts";

const id = "a".repeat(64);
const deep = `${"[".repeat(50_000)}${"]".repeat(50_000)}`;

describe("odd V1 requests", () => {
  let server: RegistryServer;
  before(async () => {
    server = await startRegistry();
    await server.client.expect([200], "PUT", `/v1/images/${id}/json`, { body: Buffer.from(`{"id": "${id}"}`) });
  });
  after(async () => {
    await server.close();
  });

  const raw = async (head: string) => await (await RawConnection.open(server.port, `${head}\r\n\r\n`)).rest();
  const put = async (path: string, body: string, status: number) =>
    await server.client.expect([status], "PUT", `/v1/repositories/${path}`, { body: Buffer.from(body) });
  const tag = async (path: string) => await put(path, JSON.stringify(id), 200);
  const text = async (path: string, status = 200) =>
    (await server.client.expect([status], "GET", `/v1/repositories/${path}`)).body.toString();
  const remove = async (path: string, status = 200) => {
    await server.client.expect([status], "DELETE", `/v1/repositories/${path}`);
  };

  for (const host of ["[", "a b", "%", "h:99999"]) {
    it(`search with the Host ${host}`, async () => {
      const answer = await raw(`GET /v1/search?q=it HTTP/1.1\r\nHost: ${host}\r\nConnection: close`);
      expect(answer)
        .to.match(/^HTTP\/1.1 200 /)
        .and.to.contain('"query": "it"');
    });
  }

  it("search in absolute form, and without a Host", async () => {
    for (const target of ["http://there:1/v1/search?q=it HTTP/1.0", "/v1/search?q=it HTTP/1.0"]) {
      expect(await raw(`GET ${target}`))
        .to.match(/^HTTP\/1.1 200 /)
        .and.to.contain('"query": "it"');
    }
  });

  it("push a list of images without a Host, and hear where", async () => {
    const answer = await raw("PUT /v1/repositories/no/host/ HTTP/1.0\r\nContent-Length: 2\r\n\r\n[]");
    expect(answer).to.match(/^HTTP\/1.1 200 /);
    expect(answer).to.contain(`\r\nX-Docker-Endpoints: 127.0.0.1:${server.port}\r\n`);
  });

  it("list images with checksums of any depth", async () => {
    await put("odd/deep/images", `[{"id": "x", "checksum": ${deep}}]`, 204);
    await put("odd/deep/images", `[{"id": "y", "checksum": ${deep}}, {"id": "z", "checksum": "sha256:1"}]`, 204);
    expect(await text("odd/deep/images")).to.equal('[{"id": "y"}, {"checksum": "sha256:1", "id": "z"}, {"id": "x"}]');
    await put("odd/deep/properties", deep, 400);
  });

  it("list images upon a list that was none", async () => {
    await put("odd/list/images", '[1, null, {"Tag": "v1"}, {"id": "kept"}]', 204);
    await put("odd/list/images", '[{"id": "new"}]', 204);
    expect(await text("odd/list/images")).to.equal('[{"id": "new"}, {"id": "kept"}]');
    await put("odd/list/images", '[{"id": 7}]', 400);
  });

  it("tag with names that JavaScript knows", async () => {
    for (const name of ["__proto__", "constructor", "10", "9"]) await tag(`odd/words/tags/${name}`);
    expect(await text("odd/words/tags")).to.equal(
      `{"10": "${id}", "9": "${id}", "__proto__": "${id}", "constructor": "${id}"}`,
    );
  });

  it("list and delete more tags than are read at once", async () => {
    const names = Array.from({ length: 70 }, (_, index) => `v${index}`).sort();
    for (const name of names) await tag(`odd/many/tags/${name}`);
    expect(Object.keys(JSON.parse(await text("odd/many/tags")) as object)).to.deep.equal(names);
    await remove("odd/many/");
    await text("odd/many/tags", 404);
  });

  it("tag with names that would share a file", async () => {
    await tag("odd/files/tags/x_json");
    await tag("odd/files/tags/_x");
    expect(await text("odd/files/tags")).to.equal(`{"_x": "${id}", "x_json": "${id}"}`);
    expect(await text("odd/files/tags/_x/json")).to.contain('"docker_version": "1.5.0"');
    await remove("odd/files/tags/_x");
    expect(await text("odd/files/tags/x_json")).to.equal(`"${id}"`);
    await tag("odd/files/tags/a%20b");
    await text("odd/files/tags/a%2Bb", 404);
    await remove("odd/files/tags/a%2Bb", 404);
    expect(await text("odd/files/tags/a%20b")).to.equal(`"${id}"`);
  });

  it("delete a repository that would share a folder", async () => {
    await tag("odd/b/c/tags/v1");
    await text("odd/b%252Fc/tags", 404);
    await remove("odd/b%252Fc/", 404);
    expect(await text("odd/b/c/tags")).to.equal(`{"v1": "${id}"}`);
  });
});

describe("the V1 headers", () => {
  it("name a flavor of any letters", async () => {
    const server = await koaServer((ctx) => (ctx.body = "here"), {
      outer: [v1Headers({ version: "1.2.3", flavor: "my プロ" })],
    });
    try {
      const answer = await fetch(server.url);
      expect(answer.status).to.equal(200);
      expect(answer.headers.get("x-docker-registry-config")).to.equal("my %E3%83%97%E3%83%AD");
    } finally {
      await server.close(1);
    }
  });
});
