import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { gzipSync } from "node:zlib";
import { expect } from "chai";
import { removeFolder, temporaryFolder } from "../../support/program.ts";
import { startRegistry, type RegistryServer } from "../../support/registry-server.ts";
import { tarOf } from "../../support/v1-images.ts";

type Files = Readonly<Record<string, string | Buffer>>;

const id = (letter: string) => letter.repeat(64);

/** What the versions of the Python registry left on disk; `layer` is one gzipped file named old. */
const stores: Readonly<Record<string, (layer: Buffer) => Files>> = {
  "0.6.9": (layer) => ({
    [`images/${id("a")}/json`]: `{"id":"${id("a")}"}`,
    [`images/${id("a")}/ancestry`]: `["${id("a")}"]`,
    [`images/${id("a")}/layer`]: layer,
    [`images/${id("a")}/_checksum`]: `tarsum+sha256:${"1".repeat(64)}`,
    "repositories/foo/bar/tag_v1": id("a"),
    "repositories/foo/bar/tagv1_json": '{"last_update": 1}',
    "repositories/foo/bar/_index_images": `[{"id": "${id("a")}"}]`,
  }),
  "0.7.1": (layer) => ({
    [`images/${id("a")}/json`]: `{"id":"${id("a")}"}`,
    [`images/${id("a")}/ancestry`]: `["${id("a")}"]`,
    [`images/${id("a")}/layer`]: layer,
    [`images/${id("a")}/_checksum`]: `["sha256:${"2".repeat(64)}", "tarsum+sha256:${"1".repeat(64)}"]`,
    [`images/${id("a")}/_files`]: '[["/as-python-had-it", "f", false, 1, 1.5, 420, 0, 0]]',
    "repositories/foo/bar/tag_v1": id("a"),
    "repositories/foo/bar/tag_a+1 x": id("a"),
    "repositories/foo/bar/_index_images": `[{"id": "${id("a")}"}]`,
    "repositories/foo/more%2Fparts/tag_v1": id("a"),
  }),
  "0.9.1": (layer) => ({
    [`images/${id("a")}/json`]: `{"id":"${id("a")}"}`,
    [`images/${id("a")}/ancestry`]: `["${id("a")}"]`,
    [`images/${id("a")}/layer`]: layer,
    [`images/${id("a")}/_checksum`]: `["sha256:${"2".repeat(64)}"]`,
    [`images/${id("b")}/json`]: `{"id":"${id("b")}","parent":"${id("a")}"}`,
    [`images/${id("b")}/_inprogress`]: "true",
    [`images/${id("b")}/layer`]: layer.subarray(0, 10),
    [`images/${id("c")}/json`]: `{"id":"${id("c")}","parent":"${id("a")}"}`,
    [`images/${id("c")}/layer`]: layer,
    "repositories/foo/bar/tag_v1": id("a"),
    "repositories/foo/bar/tag_a%2B1+x": id("a"),
    "repositories/foo/bar/tag_dangling": "",
    "repositories/foo/bar/_index_images": `[{"id": "${id("a")}"}]`,
    "repositories/foo/bar/_private": "",
    "repositories/foo/more%252Fparts/tag_v1": id("a"),
  }),
};

async function write(root: string, files: Files): Promise<void> {
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), content);
  }
}

async function hashes(root: string): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    found.set(
      relative(root, path),
      createHash("sha256")
        .update(await readFile(path))
        .digest("hex"),
    );
  }
  return found;
}

for (const [version, files] of Object.entries(stores)) {
  describe(`a store of docker-registry ${version}`, () => {
    let folder: string;
    let server: RegistryServer;
    let layer: Buffer;
    let before: ReadonlyMap<string, string>;
    beforeEach(async () => {
      folder = await temporaryFolder();
      layer = gzipSync(await tarOf("old", 1000));
      await write(folder, files(layer));
      before = await hashes(folder);
      server = await startRegistry({ storage: "local", storage_path: folder });
    });
    afterEach(async () => {
      await server.close();
      await removeFolder(folder);
    });

    const text = async (path: string, status = 200) =>
      (await server.client.expect([status], "GET", path)).body.toString();

    it("is pulled from, and not changed by it", async () => {
      const [image] = await server.client.pull("foo/bar", "v1");
      expect(image?.id).to.equal(id("a"));
      expect(image?.layer.sha256).to.equal(createHash("sha256").update(layer).digest("hex"));
      const after = await hashes(folder);
      for (const [path, hash] of before) expect(after.get(path), path).to.equal(hash);
    });

    it("shows its odd names as they were meant", async () => {
      const tags = JSON.parse(await text("/v1/repositories/foo/bar/tags")) as object;
      expect(tags).to.deep.equal(version === "0.6.9" ? { v1: id("a") } : { "a+1 x": id("a"), v1: id("a") });
      if (version === "0.6.9") return;
      expect(await text("/v1/repositories/foo/bar/tags/a+1%20x")).to.equal(`"${id("a")}"`);
      expect(await text("/v1/repositories/foo/more/parts/tags")).to.equal(`{"v1": "${id("a")}"}`);
    });

    it("is pushed to with what it has as parents", async () => {
      const json = Buffer.from(`{"id":"${id("d")}","parent":"${id("a")}"}`);
      const image = {
        id: id("d"),
        json,
        layer: async function* () {
          yield await tarOf("new", 10);
        },
      };
      await server.client.push("foo/bar", "v2", [image]);
      expect((await server.client.pull("foo/bar", "v2")).map((pulled) => pulled.id)).to.deep.equal([id("a"), id("d")]);
      await server.client.expect([200], "DELETE", "/v1/repositories/foo/bar/tags/v1");
      await server.client.expect([404], "GET", "/v1/repositories/foo/bar/tags/v1");
    });

    if (version === "0.7.1") {
      it("answers the file lists that were computed then", async () => {
        expect(await text(`/v1/images/${id("a")}/files`)).to.contain("/as-python-had-it");
      });
      it("tells both checksums", async () => {
        const { headers } = await server.client.expect([200], "GET", `/v1/images/${id("a")}/json`);
        expect(headers["x-docker-checksum"]).to.equal(`tarsum+sha256:${"1".repeat(64)}`);
        expect(headers["x-docker-checksum-payload"]).to.equal(`sha256:${"2".repeat(64)}`);
      });
    }

    if (version === "0.9.1") {
      it("does not serve its broken push, until that is repeated", async () => {
        await server.client.expect([400], "GET", `/v1/images/${id("b")}/layer`);
        const json = Buffer.from(`{"id":"${id("b")}","parent":"${id("a")}"}`);
        const tar = await tarOf("whole", 100);
        await server.client.pushImage({
          id: id("b"),
          json,
          layer: async function* () {
            yield await Promise.resolve(tar);
          },
        });
        const answer = await server.client.expect([200], "GET", `/v1/images/${id("b")}/layer`);
        expect(answer.body.equals(tar)).to.equal(true);
      });
      it("serves an image that lost its ancestry and checksum", async () => {
        expect(await text(`/v1/images/${id("c")}/ancestry`)).to.equal(`["${id("c")}", "${id("a")}"]`);
        await server.client.expect([200], "GET", `/v1/images/${id("c")}/json`);
      });
      it("keeps its repositories private", async () => {
        expect(await text("/v1/repositories/foo/bar/properties")).to.equal('{"access": "private"}');
      });
    }

    it("loses a repository whole, and keeps its images", async () => {
      await server.client.expect([200], "DELETE", "/v1/repositories/foo/bar/");
      await server.client.expect([404], "GET", "/v1/repositories/foo/bar/tags");
      await server.client.expect([200], "GET", `/v1/images/${id("a")}/json`);
      expect((await hashes(folder)).has("repositories/foo/bar/tag_v1")).to.equal(false);
    });
  });
}
