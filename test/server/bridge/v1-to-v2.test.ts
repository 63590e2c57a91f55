import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Readable } from "node:stream";
import { gunzipSync, gzipSync } from "node:zlib";
import { expect } from "chai";
import { problem, pullImage } from "../../support/bridged-registry.ts";
import { needs } from "../../support/needs.ts";
import { digestOf } from "../../support/oci-image.ts";
import { until } from "../../support/program.ts";
import { registryForEach } from "../../support/registry-for-each.ts";
import { startRegistry } from "../../support/registry-server.ts";
import { gathered } from "../../support/tar-bytes.ts";
import { describedImage, imageOf, smallChain, tarOf } from "../../support/v1-images.ts";

const sha256 = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");

for (const storage of ["memory", "local"] as const) {
  describe(`images pushed through V1, pulled through V2, in ${storage} storage`, function () {
    this.timeout(180_000);
    const server = registryForEach(storage);
    const manifest = async (name: string, reference: string) =>
      await server.client.send("GET", `/v2/${name}/manifests/${reference}`);

    it("have their layers, configuration and history", async () => {
      const chain = await smallChain(3);
      await server.client.push("foo/bar", "v1", chain);
      const { manifest, config } = await pullImage(server.client, "foo/bar", "v1");
      expect(manifest.layers.length).to.equal(3);
      expect(config.author).to.equal("curator é");
      expect(config.history.map(({ created_by }) => created_by)).to.deep.equal(chain.map(() => "/bin/hello"));
      for (const [index, { layer }] of chain.entries()) {
        const bytes = await gathered(layer());
        expect(manifest.layers[index]?.digest).to.equal(digestOf(bytes));
        expect(config.rootfs.diff_ids[index]).to.equal(digestOf(gunzipSync(bytes)));
      }
    });

    it("have the same digest in every registry, and under every tag", async () => {
      const chain = await smallChain(2);
      await server.client.push("foo/bar", "v1", chain);
      await server.client.push("other/name", "v2", chain);
      const other = await startRegistry();
      try {
        await other.client.push("third/name", "latest", chain);
        const { digest } = await pullImage(other.client, "third/name", "latest");
        expect((await pullImage(server.client, "foo/bar", "v1")).digest).to.equal(digest);
        expect((await pullImage(server.client, "other/name", "v2")).digest).to.equal(digest);
      } finally {
        await other.close();
      }
    });

    it("are seen in a repository once a tag of it names them, and not before", async () => {
      const chain = await smallChain(1);
      await server.client.push("foo/bar", "v1", chain);
      await server.client.push("foo/baz", "v1", await smallChain(1));
      const { digest, manifest: found } = await pullImage(server.client, "foo/bar", "v1");
      expect((await manifest("foo/baz", digest)).status).to.equal(404);
      await server.client.expect([404], "GET", `/v2/foo/baz/blobs/${found.layers[0]!.digest}`);
    });

    const itWithFiles = storage === "local" ? it : () => undefined;
    itWithFiles("are made ready when a tag is set, before anybody asks", async () => {
      await server.client.push("foo/bar", "v1", await smallChain(1));
      const id = JSON.parse(
        (await server.client.expect([200], "GET", "/v1/repositories/foo/bar/tags/v1")).body.toString(),
      ) as string;
      const record = join(server.folder, "_registryctl/v1/images", id, "manifest");
      const { manifest: made } = JSON.parse(
        await until("the record", async () => await readFile(record, "utf8").catch(() => undefined)),
      ) as { manifest: string };
      expect((await pullImage(server.client, "foo/bar", "v1")).digest).to.equal(made);
    });

    it("are docker's own under both of their names", async () => {
      await server.client.push("busybox", "v1", await smallChain(1));
      const { digest } = await pullImage(server.client, "library/busybox", "v1");
      expect((await pullImage(server.client, "busybox", "v1")).digest).to.equal(digest);
      expect((await manifest("other/busybox", "v1")).status).to.equal(404);
    });

    it("leave out docker's empty layers, and keep one where there is no other", async () => {
      const [base] = await smallChain(1);
      const empty = imageOf(Buffer.alloc(1024), base);
      const alone = imageOf(Buffer.alloc(1024));
      await server.client.push("foo/bar", "full", [base!, empty]);
      await server.client.push("foo/bar", "empty", [alone]);
      const full = await pullImage(server.client, "foo/bar", "full");
      expect(full.manifest.layers.length).to.equal(1);
      expect(full.config.history.map(({ empty_layer }) => empty_layer)).to.deep.equal([undefined, true]);
      expect((await pullImage(server.client, "foo/bar", "empty")).manifest.layers.length).to.equal(1);
    });

    for (const packer of ["xz", "bzip2"]) {
      it(`are packed anew where V2 has no name for ${packer}, the same everywhere`, async function () {
        needs(this, packer);
        const archive = await tarOf("packed", 3000);
        const image = imageOf(execFileSync(packer, ["-c"], { input: archive }));
        await server.client.push("foo/bar", "v1", [image]);
        const { digest, manifest, config } = await pullImage(server.client, "foo/bar", "v1");
        expect(manifest.layers[0]?.mediaType).to.equal("application/vnd.oci.image.layer.v1.tar+gzip");
        expect(config.rootfs.diff_ids).to.deep.equal([digestOf(archive)]);
        const { body } = await server.client.expect([200], "GET", `/v2/foo/bar/blobs/${manifest.layers[0]!.digest}`);
        expect(gunzipSync(body).equals(archive)).to.equal(true);
        const other = await startRegistry();
        try {
          await other.client.push("foo/bar", "v1", [image]);
          expect((await pullImage(other.client, "foo/bar", "v1")).digest).to.equal(digest);
        } finally {
          await other.close();
        }
      });
    }

    it("may have chains of 40", async () => {
      await server.client.push("foo/bar", "v1", await smallChain(40, 100));
      expect((await pullImage(server.client, "foo/bar", "v1")).manifest.layers.length).to.equal(40);
    });

    it("are unknown, and told why, while they are pushed", async () => {
      const [base, top] = await smallChain(2);
      await server.client.push("foo/bar", "v1", [base!]);
      await server.client.expect([200], "PUT", `/v1/images/${top!.id}/json`, { body: top!.json });
      await server.client.expect([200], "PUT", "/v1/repositories/foo/bar/tags/v2", {
        body: Buffer.from(JSON.stringify(top!.id)),
      });
      expect(problem(await manifest("foo/bar", "v2"))).to.equal(
        `404 MANIFEST_UNKNOWN: The manifest is not known to the repository: image ${top!.id} is still being pushed`,
      );
      await server.client.push("foo/bar", "v2", [base!, top!]);
      await pullImage(server.client, "foo/bar", "v2");
    });

    it("say which layer can't be read", async () => {
      const [base] = await smallChain(1);
      const broken = imageOf(gzipSync(await tarOf("cut", 5000)).subarray(0, 2000), base);
      const top = imageOf(gzipSync(await tarOf("top", 10)), broken);
      await server.client.push("foo/bar", "v1", [base!, broken, top]);
      for (let round = 0; round < 2; round++) {
        const told = problem(await manifest("foo/bar", "v1"));
        expect(told).to.match(/^404 MANIFEST_UNKNOWN: The image cannot be translated: the layer sha256:/);
        expect(told).to.contain(`of image ${broken.id} can't be read: `);
      }
      expect((await server.client.pull("foo/bar", "v1")).length).to.equal(3);
    });

    it("are other images when their tag is set anew", async () => {
      const [one, two] = [await smallChain(1), await smallChain(2)];
      await server.client.push("foo/bar", "v1", one);
      const before = await pullImage(server.client, "foo/bar", "v1");
      await server.client.push("foo/bar", "v1", two);
      const after = await pullImage(server.client, "foo/bar", "v1");
      expect(after.manifest.layers.length).to.equal(2);
      expect((await pullImage(server.client, "foo/bar", before.digest)).digest).to.equal(before.digest);
    });
  });
}

describe("an old store, pulled from through V2", function () {
  this.timeout(180_000);
  const server = registryForEach("local");
  const id = (letter: string) => letter.repeat(64);
  const write = async (path: string, content: string | Buffer) => {
    await mkdir(dirname(join(server.folder, path)), { recursive: true });
    await writeFile(join(server.folder, path), content);
  };
  const writeImage = async (letter: string, layer: Buffer | undefined, parent?: string) => {
    const json = { id: id(letter), ...(parent !== undefined && { parent: id(parent) }) };
    await write(`images/${id(letter)}/json`, JSON.stringify(json));
    if (layer) await write(`images/${id(letter)}/layer`, layer);
  };
  const told = async (tag: string) => problem(await server.client.send("GET", `/v2/foo/bar/manifests/${tag}`));

  it("keeps its files, and lends its layers without a second copy", async () => {
    const layer = gzipSync(await tarOf("old", 1000));
    await writeImage("a", layer);
    await writeImage("b", Buffer.alloc(0), "a");
    await write("repositories/foo/bar/tag_v1", id("b"));
    const { manifest, config } = await pullImage(server.client, "foo/bar", "v1");
    expect(manifest.layers.map(({ digest }) => digest)).to.deep.equal([digestOf(layer)]);
    expect(config.history.length).to.equal(2);
    const file = join(server.folder, `images/${id("a")}/layer`);
    expect(sha256(await readFile(file))).to.equal(sha256(layer));
    const hex = sha256(layer);
    const blob = join(server.folder, `docker/registry/v2/blobs/sha256/${hex.slice(0, 2)}/${hex}/data`);
    expect((await stat(blob)).ino).to.equal((await stat(file)).ino);
  });

  it("tells of what is missing, and shows the image once it is there", async () => {
    await writeImage("b", gzipSync(await tarOf("b", 10)), "a");
    await write("repositories/foo/bar/tag_v1", id("b"));
    expect(await told("v1")).to.contain(`image that ${id("b")} is built on is missing`);
    await writeImage("a", undefined);
    expect(await told("v1")).to.contain(`the layer of image ${id("a")} is missing`);
    await writeImage("a", Buffer.from("no archive at all, but longer than a block of one".repeat(50)));
    expect(await told("v1")).to.contain(`the layer of image ${id("a")} can't be read: `);
    await write(`images/${id("a")}/_inprogress`, "true");
    expect(await told("v1")).to.contain(`image ${id("a")} is still being pushed`);
    await rm(join(server.folder, `images/${id("a")}/_inprogress`));
    await writeImage("a", gzipSync(await tarOf("a", 10)));
    await pullImage(server.client, "foo/bar", "v1");
    await write("repositories/foo/bar/tag_v2", id("c"));
    expect(await told("v2")).to.contain(`image ${id("c")} is missing`);
  });

  it("is translated anew when an image was pushed again, as another", async () => {
    await writeImage("a", gzipSync(await tarOf("a", 10)));
    await write("repositories/foo/bar/tag_v1", id("a"));
    const before = await pullImage(server.client, "foo/bar", "v1");
    await rm(join(server.folder, "images"), { recursive: true });
    const again = describedImage(id("a"), 1, () => Readable.from([gzipSync(Buffer.alloc(2048))]));
    await server.client.push("foo/bar", "v1", [again]);
    expect((await pullImage(server.client, "foo/bar", "v1")).digest).not.to.equal(before.digest);
  });

  it("finds its layers again when their blobs are lost", async () => {
    await writeImage("a", gzipSync(await tarOf("a", 10)));
    await write("repositories/foo/bar/tag_v1", id("a"));
    const { digest } = await pullImage(server.client, "foo/bar", "v1");
    await rm(join(server.folder, "docker"), { recursive: true });
    expect((await pullImage(server.client, "foo/bar", "v1")).digest).to.equal(digest);
  });
});
