import { expect } from "chai";
import { createHash } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { guardedRegistry, type GuardedRegistry } from "../../support/guarded-registry.ts";
import { needs } from "../../support/needs.ts";
import { describedImage, smallChain } from "../../support/v1-images.ts";
import type { Answer, V1Client, V1Image } from "../../support/v1-client.ts";

describe("images of V1 that belong to somebody", function () {
  this.timeout(180_000);
  let server: GuardedRegistry;
  let ann: V1Client;
  let bob: V1Client;
  before(async function () {
    needs(this, "openssl");
    server = await guardedRegistry(
      ["ann", "bob"],
      [
        { who: ["ann"], repositories: ["ann/*"], actions: ["all"] },
        { who: ["bob"], repositories: ["bob/*"], actions: ["all"] },
      ],
    );
    ann = server.connect({ basic: "ann:ann-secret" });
    bob = server.connect({ basic: "bob:bob-secret" });
  });
  after(async () => {
    await server.close();
  });

  const bytesOf = async ({ layer }: V1Image): Promise<Buffer> => {
    const chunks: Uint8Array[] = [];
    for await (const chunk of layer()) chunks.push(chunk);
    return Buffer.concat(chunks);
  };
  const checksumOf = async (image: V1Image): Promise<string> =>
    `sha256:${createHash("sha256")
      .update(image.json)
      .update("\n")
      .update(await bytesOf(image))
      .digest("hex")}`;
  const put = async (client: V1Client, id: string, what: string, body: Uint8Array, headers = {}): Promise<Answer> =>
    await client.send("PUT", `/v1/images/${id}/${what}`, {
      headers: { "Content-Type": "application/json", ...headers },
      body,
    });
  const begin = async (client: V1Client, { id, json }: V1Image) => (await put(client, id, "json", json)).status;
  const claim = async (client: V1Client, image: V1Image) =>
    await put(client, image.id, "checksum", Buffer.alloc(0), { "X-Docker-Checksum-Payload": await checksumOf(image) });
  const reads = async (client: V1Client, { id }: V1Image): Promise<readonly number[]> => {
    const paths = ["json", "ancestry", "layer", "files"];
    return await Promise.all(paths.map(async (path) => (await client.send("GET", `/v1/images/${id}/${path}`)).status));
  };
  const all = (status: number) => [status, status, status, status];

  it("are not shown to who has begun to push one of that id before", async () => {
    const [image] = (await smallChain(1)) as [V1Image];
    expect(await begin(bob, image)).to.equal(200);
    await ann.push("ann/app", "v1", [image]);
    expect(await reads(ann, image)).to.deep.equal(all(200));
    expect(await reads(bob, image)).to.deep.equal(all(404));
  });

  it("are not shown to who has sent another layer and names the checksum of theirs", async () => {
    const [image] = (await smallChain(1)) as [V1Image];
    expect(await begin(ann, image)).to.equal(200);
    expect((await put(ann, image.id, "layer", await bytesOf(image))).status).to.equal(200);
    expect(await begin(bob, image)).to.equal(200);
    expect((await put(bob, image.id, "layer", Buffer.from("another layer"))).status).to.equal(200);
    expect((await claim(bob, image)).status).to.equal(200);
    expect((await claim(ann, image)).status).to.equal(200);
    expect(await reads(ann, image)).to.deep.equal(all(200));
    expect(await reads(bob, image)).to.deep.equal(all(404));
  });

  it("can be pushed by others who have the very same, parents too, and are then theirs as well", async () => {
    const chain = await smallChain(2);
    await ann.push("ann/base", "v1", chain);
    expect(await reads(bob, chain[1]!)).to.deep.equal(all(404));
    await bob.push("bob/base", "v1", chain);
    expect((await bob.pull("bob/base", "v1")).map(({ id }) => id)).to.deep.equal(chain.map(({ id }) => id));
  });

  it("can be pushed by others too where an old registry has written them", async () => {
    const [image] = (await smallChain(1)) as [V1Image];
    const folder = join(server.folder, "store/images", image.id);
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, "json"), image.json);
    await writeFile(join(folder, "ancestry"), JSON.stringify([image.id]));
    await writeFile(join(folder, "layer"), await bytesOf(image));
    await writeFile(join(folder, "_checksum"), JSON.stringify([await checksumOf(image)]));
    expect(await reads(bob, image)).to.deep.equal(all(404));
    await bob.push("bob/old", "v1", [image]);
    expect(await reads(bob, image)).to.deep.equal(all(200));
  });

  it("show of a complete image that its id is taken, and nothing of what it is", async () => {
    const [image] = (await smallChain(1)) as [V1Image];
    await ann.push("ann/taken", "v1", [image]);
    const other = describedImage(image.id, 5, image.layer, undefined, { comment: "not that of ann" });
    const refused = await put(bob, image.id, "json", other.json);
    expect([refused.status, refused.body.toString()]).to.deep.equal([409, '{"error": "Image already exists"}']);
    expect(toldBeside(refused)).not.to.match(/ann/);
    expect((await put(bob, image.id, "layer", await bytesOf(image))).status).to.equal(404);
    expect((await claim(bob, image)).status).to.equal(404);
    // Who knows the document has to show the layer, too.
    expect(await begin(bob, image)).to.equal(200);
    expect((await claim(bob, image)).status).to.equal(200);
    expect((await put(bob, image.id, "layer", Buffer.from("a guess"))).status).to.equal(409);
    expect((await claim(bob, image)).status).to.equal(200);
    expect(await reads(bob, image)).to.deep.equal(all(404));
    // Nothing of ann's has changed.
    expect((await ann.pull("ann/taken", "v1"))[0]!.json.equals(image.json)).to.equal(true);
  });

  it("are not shown to the API keys and tokens of who has pushed them, as far as these are for less", async () => {
    const [image] = (await smallChain(1)) as [V1Image];
    await ann.push("ann/secret", "v1", [image]);
    const key = await server.key("ann", ["ann/public"], ["pull", "push"]);
    expect(await reads(server.connect({ basic: `ann:${key}` }), image)).to.deep.equal(all(404));
    const scopes = (actions: readonly string[]) => [{ type: "repository", name: "ann/public", actions }];
    const token = async (actions: readonly string[]) =>
      `Token signature=${await server.token("v1", "ann", scopes(actions))},repository="ann/public",access=read`;
    const status = async (actions: readonly string[]) => {
      const headers = { Authorization: await token(actions) };
      return (await server.client.send("GET", `/v1/images/${image.id}/json`, { headers })).status;
    };
    expect(await status(["pull"])).to.equal(404);
    // Docker asks so which images it need not push.
    expect(await status(["pull", "push"])).to.equal(200);
    const own = server.connect({ basic: `ann:${key}` });
    const [small] = (await smallChain(1)) as [V1Image];
    await own.push("ann/public", "v1", [small]);
    expect((await own.pull("ann/public", "v1"))[0]!.id).to.equal(small.id);
  });

  it("may be kept by their readers, and by no cache that others share", async () => {
    const [image] = (await smallChain(1)) as [V1Image];
    await ann.push("ann/cached", "v1", [image]);
    for (const headers of [{}, { "If-Modified-Since": "x" }]) {
      const { headers: answered } = await ann.send("GET", `/v1/images/${image.id}/json`, { headers });
      expect(answered["cache-control"]).to.equal("private, max-age=31536000");
    }
  });
});

function toldBeside({ headers, body }: Answer): string {
  return JSON.stringify([Object.entries(headers).filter(([name]) => name !== "date"), body.toString()]);
}
