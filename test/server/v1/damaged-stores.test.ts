import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { expect } from "chai";
import { removeFolder, temporaryFolder } from "../../support/program.ts";
import { startRegistry, type RegistryServer } from "../../support/registry-server.ts";
import { tarOf } from "../../support/v1-images.ts";

const id = (letter: string) => letter.repeat(64);

describe("a damaged V1 store", () => {
  let folder: string;
  let server: RegistryServer;
  let layer: Buffer;
  beforeEach(async () => {
    folder = await temporaryFolder();
    layer = await tarOf("old", 1000);
    server = await startRegistry({ storage: "local", storage_path: folder });
  });
  afterEach(async () => {
    await server.close();
    await removeFolder(folder);
  });

  const write = async (files: Readonly<Record<string, string | Buffer>>) => {
    for (const [path, content] of Object.entries(files)) {
      await mkdir(dirname(join(folder, path)), { recursive: true });
      await writeFile(join(folder, path), content);
    }
  };
  const image = (letter: string, parent?: string) => ({
    [`images/${id(letter)}/json`]: JSON.stringify({ id: id(letter), ...(parent && { parent: id(parent) }) }),
    [`images/${id(letter)}/layer`]: layer,
  });
  const get = async (path: string, status = 200) => await server.client.expect([status], "GET", path);

  for (const checksum of ['["sha256:short"]', '["a\\nb"]', "[[]]", "{}", "", '["sha256:XYZ", 1]', "sha256:12"]) {
    it(`gives an image whose _checksum is ${checksum || "empty"}`, async () => {
      await write({ ...image("a"), [`images/${id("a")}/_checksum`]: checksum });
      expect((await get(`/v1/images/${id("a")}/json`)).headers["x-docker-size"]).to.equal(String(layer.length));
      expect((await get(`/v1/images/${id("a")}/layer`)).body.equals(layer)).to.equal(true);
    });
  }

  for (const ancestry of ["[]", "", "[1]", `["${id("b")}"]`]) {
    it(`tells the ancestry of an image where it is ${ancestry.slice(0, 10) || "empty"}`, async () => {
      await write({ ...image("a"), ...image("c", "a"), [`images/${id("c")}/ancestry`]: ancestry });
      expect((await get(`/v1/images/${id("c")}/ancestry`)).body.toString()).to.equal(`["${id("c")}", "${id("a")}"]`);
    });
  }

  it("ends the ancestry of an image that is its own ancestor", async () => {
    await write({ ...image("a", "c"), ...image("c", "a") });
    expect((await get(`/v1/images/${id("c")}/ancestry`)).body.toString()).to.equal(`["${id("c")}", "${id("a")}"]`);
  });

  it("takes an image again that lost its JSON", async () => {
    await write({ [`images/${id("a")}/_checksum`]: `["sha256:${id("1")}"]`, [`images/${id("a")}/layer`]: layer });
    await get(`/v1/images/${id("a")}/json`, 404);
    await server.client.pushImage({
      id: id("a"),
      json: Buffer.from(`{"id": "${id("a")}"}`),
      layer: async function* () {
        yield await Promise.resolve(layer);
      },
    });
    expect((await get(`/v1/images/${id("a")}/layer`)).body.equals(layer)).to.equal(true);
  });

  it("tells no diff upon a parent that is in progress", async () => {
    const mark = `images/${id("a")}/_inprogress`;
    await write({ ...image("a"), ...image("c", "a"), [mark]: "true", [`images/${id("a")}/layer`]: "" });
    await get(`/v1/images/${id("c")}/diff`, 400);
    await server.client.pushImage({
      id: id("a"),
      json: Buffer.from(`{"id": "${id("a")}"}`),
      layer: async function* () {
        yield await Promise.resolve(layer);
      },
    });
    const diff = JSON.parse((await get(`/v1/images/${id("c")}/diff`)).body.toString()) as object;
    expect(diff).to.deep.include({ created: {} });
  });

  it("gives an image that lost its layer, but not its layer", async () => {
    await write({ [`images/${id("a")}/json`]: `{"id": "${id("a")}"}` });
    expect((await get(`/v1/images/${id("a")}/json`)).headers).not.to.have.property("x-docker-size");
    await get(`/v1/images/${id("a")}/layer`, 404);
    await get(`/v1/images/${id("a")}/files`, 404);
  });

  it("lists a tag that two versions wrote as the later one has it", async () => {
    await write({ ...image("a"), ...image("b"), "repositories/foo/bar/tag_a b": id("a") });
    const tags = "/v1/repositories/foo/bar/tags";
    expect((await get(tags)).body.toString()).to.equal(`{"a b": "${id("a")}"}`);
    await server.client.expect([200], "PUT", `${tags}/a%20b`, { body: Buffer.from(JSON.stringify(id("b"))) });
    expect((await get(`${tags}/a%20b`)).body.toString()).to.equal(`"${id("b")}"`);
    expect((await get(tags)).body.toString()).to.equal(`{"a b": "${id("b")}"}`);
  });
});
