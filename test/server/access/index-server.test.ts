import { generateKeyPairSync } from "node:crypto";
import { readFile, stat, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { expect } from "chai";
import { sign } from "../../../src/server/access/signature.ts";
import { removeFolder, temporaryFolder, until } from "../../support/program.ts";
import { startRegistry, type RegistryServer } from "../../support/registry-server.ts";
import { smallChain } from "../../support/v1-images.ts";
import type { V1Image } from "../../support/v1-client.ts";

/** An index server that knows the tokens, and the images, of repositories; `asked` lists the requests it got. */
class IndexServer {
  readonly images = new Map<string, string[]>();
  readonly denied = new Set<string>();
  readonly asked: string[] = [];
  failing = false;
  readonly #server: Server = createServer((request, response) => {
    this.asked.push(request.url ?? "");
    const [, , , namespace, name, kind, id] = (request.url ?? "").split("/");
    const repository = `${namespace ?? ""}/${name ?? ""}`;
    const known = request.headers.authorization?.includes(`repository="${repository}"`) && this.images.get(repository);
    if (this.failing) response.writeHead(500).end();
    else if (!known || !request.headers.authorization?.includes("signature=GOOD")) response.writeHead(401).end();
    else if (kind === "images") response.end(JSON.stringify(known.map((image) => ({ id: image }))));
    else response.end(JSON.stringify({ access: !this.denied.has(id ?? "") }));
  });

  async start(): Promise<string> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }
}

const token = (repository: string, access: string, signature = "GOOD") => ({
  Authorization: `Token Token signature=${signature},repository="${repository}",access=${access}`,
});

describe("V1 access with an index server", () => {
  const index = new IndexServer();
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  let server: RegistryServer;
  let folder: string;
  let image: V1Image;
  let child: V1Image;
  before(async () => {
    folder = await temporaryFolder();
    const keyFile = join(folder, "key.pub.pem");
    await writeFile(keyFile, publicKey.export({ type: "pkcs1", format: "pem" }));
    const endpoint = await index.start();
    server = await startRegistry({ standalone: false, index_endpoint: `${endpoint}/`, privileged_key: keyFile });
    [image, child] = (await smallChain(2)) as [V1Image, V1Image];
    index.images.set("foo/bar", [image.id, child.id]);
    index.images.set("foo/other", [child.id]);
  });
  after(async () => {
    await server.close();
    await index.stop();
    await removeFolder(folder);
  });
  beforeEach(() => {
    index.failing = false;
  });

  const status = async (method: string, path: string, headers = {}, body?: Buffer) =>
    (await server.client.send(method, path, { headers, ...(body && { body }) })).status;
  const tags = "/v1/repositories/foo/bar/tags";

  it("refuses whoever has no token, with the challenge that docker understands", async () => {
    const answer = await server.client.send("GET", tags);
    expect([answer.status, answer.body.toString()]).to.deep.equal([401, '{"error": "Requires authorization"}']);
    expect(answer.headers["www-authenticate"]).to.equal("Token");
    expect(await status("GET", tags, { Authorization: "Basic Og==" })).to.equal(401);
    expect(await status("GET", tags, { Authorization: "Token" })).to.equal(401);
    expect(await status("GET", "/v1/images/-bad/json")).to.equal(401);
  });

  it("refuses a token that the index does not know, or that is for something else", async () => {
    expect(await status("GET", tags, token("foo/bar", "read", "BAD"))).to.equal(401);
    expect(await status("GET", tags, token("foo/other", "read"))).to.equal(401);
    expect(await status("GET", tags, token("foo/bar", "write"))).to.equal(401);
    expect(await status("DELETE", `${tags}/v1`, token("foo/bar", "read"))).to.equal(401);
    expect(await status("PUT", `${tags}/v1`, token("foo/bar", "delete"))).to.equal(401);
    expect(await status("GET", tags, token("foo/bar/more", "read"))).to.equal(401);
    expect(await status("GET", tags, token("foo/bar", "constructor", "BAD"))).to.equal(401);
  });

  it("has denials and changes in the audit log", async () => {
    const lines = server.log.length;
    expect(await status("GET", tags, token("foo/other", "read"))).to.equal(401);
    expect(await status("DELETE", `${tags}/v1`, token("foo/bar", "delete"))).to.equal(404);
    expect(await status("GET", tags, token("foo/bar", "read"))).to.equal(200);
    expect(await status("DELETE", "/v2/foo/bar/manifests/v1")).to.equal(401);
    const audited = () =>
      server.log
        .slice(lines)
        .map((line) => JSON.parse(line) as Record<string, unknown>)
        .filter(({ audit }) => audit === true)
        .map(({ user, action, repository, outcome }) => [user, action, repository, outcome].join());
    await until("the last one", () => audited().length > 2);
    expect(audited()).to.deep.equal([
      "token of foo/other,pull,foo/bar,denied",
      "token of foo/bar,delete,foo/bar,failed",
      "anyone,delete,foo/bar,denied",
    ]);
  });

  it("restricts nothing by an access that nobody knows", async () => {
    expect(await status("GET", `${tags}/v1`, token("foo/bar", "constructor"))).to.equal(404);
    expect(await status("DELETE", `${tags}/v1`, token("foo/bar", "admin"))).to.equal(404);
  });

  it("asks the index of no other place than the repository's", async () => {
    const before = index.asked.length;
    for (const name of ["../users", "foo/..", "./bar"]) {
      expect(await status("GET", `/v1/images/${image.id}/json`, token(name, "read")), name).to.equal(401);
    }
    expect(index.asked).to.have.length(before);
  });

  it("is not the index itself: those routes are not there, but search and ping are", async () => {
    expect(await status("GET", "/v1/users/", token("foo/bar", "read"))).to.equal(404);
    expect(await status("PUT", "/v1/repositories/foo/bar/images", token("foo/bar", "write"))).to.equal(405);
    expect(await status("GET", "/v1/search?q=x")).to.equal(200);
    const ping = await server.client.send("GET", "/v1/_ping");
    expect([ping.status, ping.headers["x-docker-registry-standalone"]]).to.deep.equal([200, "False"]);
  });

  it("lets an image be pushed that the index lists, upon a parent that it allows", async () => {
    await server.client.pushImage(image, token("foo/bar", "write"));
    index.denied.add(image.id);
    const refused = await server.client.send("PUT", `/v1/images/${child.id}/json`, {
      headers: token("foo/bar", "write"),
      body: child.json,
    });
    expect([refused.status, refused.body.toString()]).to.deep.equal([
      400,
      '{"error": "Image depends on an unauthorized parent"}',
    ]);
    index.denied.clear();
    const foreign = await server.client.send("PUT", `/v1/images/${image.id}/json`, {
      headers: token("foo/other", "write"),
      body: image.json,
    });
    expect([foreign.status, foreign.body.toString()]).to.deep.equal([
      400,
      '{"error": "This image does not belong to the repository"}',
    ]);
    // pushImage reads first, with a token that is for writing: to the registry the image is not there.
    await server.client.pushImage(child, token("foo/bar", "write"));
    expect(await status("GET", `/v1/images/${child.id}/json`, token("foo/bar", "read"))).to.equal(200);
  });

  it("shows images of private repositories to those whom the index allows", async () => {
    await server.client.expect([200], "PUT", "/v1/repositories/foo/bar/properties", {
      headers: token("foo/bar", "write"),
      body: Buffer.from('{"access": "private"}'),
    });
    const json = `/v1/images/${image.id}/json`;
    expect(await status("GET", json, token("foo/bar", "read"))).to.equal(200);
    index.denied.add(image.id);
    expect(await status("GET", json, token("foo/bar", "read"))).to.equal(404);
    expect(await status("GET", json, token("foo/other", "read"))).to.equal(200);
    expect(await status("GET", `/v1/private_images/${image.id}/json`, token("foo/bar", "read"))).to.equal(200);
    index.denied.clear();
  });

  it("lets signed requests do everything, without asking the index", async () => {
    index.failing = true;
    const before = index.asked.length;
    const path = `/v1/images/${image.id}/json`;
    const headers = { "X-Docker-Thing": "a", Date: new Date().toUTCString() };
    const signature = sign({ method: "GET", path, headers }, privateKey);
    expect(await status("GET", path, { ...headers, "X-Signature": signature })).to.equal(200);
    expect(index.asked).to.have.length(before);
    for (const wrong of [signature.replace("data=", "data=A"), "data=", ";;;", "data=%%%", "x".repeat(9000)]) {
      expect(await status("GET", path, { ...headers, "X-Signature": wrong }), wrong).to.equal(401);
    }
    const other = sign({ method: "DELETE", path, headers }, privateKey);
    expect(await status("GET", path, { ...headers, "X-Signature": other })).to.equal(401);
    expect(await status("GET", path, { ...headers, "X-Docker-Thing": "b", "X-Signature": signature })).to.equal(401);
  });

  it("is not started with credentials in the index's URL, and does not repeat them", async () => {
    let message = "";
    try {
      await (await startRegistry({ standalone: false, index_endpoint: "http://me:secret@127.0.0.1:1" })).close();
    } catch (error) {
      message = String(error);
    }
    expect(message).to.contain("index_endpoint").and.not.to.contain("secret");
  });

  it("answers 503 while the index fails, and says so", async () => {
    index.failing = true;
    const answer = await server.client.send("GET", tags, { headers: token("foo/bar", "read") });
    expect(answer.status).to.equal(503);
    expect(answer.body.toString()).to.contain("index server");
  });
});

describe("the images that an index server lists", () => {
  const index = new IndexServer();
  let server: RegistryServer;
  let folder: string;
  before(async () => {
    folder = await temporaryFolder();
    const settings = { storage: "local", storage_path: folder } as const;
    server = await startRegistry({ ...settings, standalone: false, index_endpoint: await index.start() });
  });
  after(async () => {
    await server.close();
    await index.stop();
    await removeFolder(folder);
  });

  it("are written down when they change, and not with every request", async () => {
    const file = join(folder, "repositories/foo/bar/_images_list");
    const ask = async (...ids: string[]) => {
      index.images.set("foo/bar", ids);
      await server.client.send("GET", "/v1/repositories/foo/bar/tags", { headers: token("foo/bar", "read") });
      return (await stat(file)).ino;
    };
    const first = await ask("a");
    expect(await ask("a")).to.equal(first);
    expect(await ask("a", "b")).not.to.equal(first);
    expect(await readFile(file, "utf8")).to.equal('["a", "b"]');
  });
});

describe("V1 access with disable_token_auth", () => {
  it("asks nobody, also for parents", async () => {
    const server = await startRegistry({
      standalone: false,
      disable_token_auth: true,
      index_endpoint: "http://127.0.0.1:1",
    });
    try {
      for (const image of await smallChain(2)) await server.client.pushImage(image);
    } finally {
      await server.close();
    }
  });
});
