import { expect } from "chai";
import type { StorageDriver } from "../../../../src/drivers/storage/driver.ts";
import { openMemory } from "../../../../src/drivers/storage/memory.ts";
import { RegistryError } from "../../../../src/server/errors.ts";
import {
  parseImageId,
  parseRepositoryName,
  parseTagName,
  repositoryText,
} from "../../../../src/server/registry/names.ts";
import { parseOciName, parseOciTag } from "../../../../src/server/registry/oci-names.ts";
import type { Registry } from "../../../../src/server/registry/registry.ts";
import { bytesOf, exists, keysOf, put } from "../../../support/storage-content.ts";
import { chunked, tarOf } from "../../../support/tar-bytes.ts";
import { registryCores } from "../../../support/registry-cores.ts";

const id = (letter: string) => parseImageId(letter.repeat(64));

describe("an old store that is prepared for V2", function () {
  this.timeout(180_000);
  const over = registryCores();
  let store: StorageDriver;
  let registry: Registry;
  beforeEach(async () => {
    store = openMemory();
    registry = over(store);
    for (const letter of ["a", "b"]) await writeImage(letter, tarOf({ name: letter, content: Buffer.from(letter) }));
    await put(store, "repositories/library/x/tag_v1", id("a"));
    await put(store, "repositories/foo/UPPER/tag_v1", id("b"));
    await put(store, "repositories/foo/bar/tag_v1", id("b"));
    await put(store, "repositories/foo/bar/tag_gone", id("c"));
  });
  const writeImage = async (letter: string, layer: Buffer) => {
    await put(store, `images/${id(letter)}/json`, JSON.stringify({ id: id(letter) }));
    await store.write(`images/${id(letter)}/layer`, chunked(layer));
  };
  const told = async (work: Promise<unknown>) =>
    await work.then(
      () => "fine",
      (error: unknown) => (error instanceof RegistryError ? (error.detail ?? error.message) : String(error)),
    );

  /** As `adopt` goes through a store. */
  async function all(how: "look" | "prepare"): Promise<Readonly<Record<string, string>>> {
    const found: Record<string, string> = {};
    for await (const repository of registry.own.repositories.all()) {
      for (const { name } of await registry.own.tags.list(repository)) {
        const work: Promise<unknown> = registry.bridge[how](repository, parseTagName(name));
        found[`${repositoryText(repository)}:${name}`] = await told(work);
      }
    }
    return found;
  }

  it("is told what is broken, tag by tag, and unchanged but for what is ours", async () => {
    const before = new Map<string, string>();
    for (const key of await keysOf(store, "")) before.set(key, (await bytesOf(store, key)).toString("hex"));
    const expected = {
      "foo/UPPER:v1": "fine",
      "foo/bar:gone": `image ${id("c")} is missing`,
      "foo/bar:v1": "fine",
      "library/x:v1": "fine",
    };
    expect(await all("look")).to.deep.equal(expected);
    expect(await keysOf(store, "")).to.deep.equal([...before.keys()]);
    expect(await all("prepare")).to.deep.equal(expected);
    for (const [key, content] of before) expect((await bytesOf(store, key)).toString("hex"), key).to.equal(content);
    for (const key of await keysOf(store, "")) {
      expect(before.has(key) || /^(_registryctl|docker)\//.test(key), key).to.equal(true);
    }
  });

  it("has tags whose manifest is known beforehand, under every name that V2 has for the repository", async () => {
    const [repository, tag] = [parseRepositoryName("x"), parseTagName("v1")];
    expect((await registry.bridge.look(repository, tag)).manifest).to.equal(undefined);
    const { image, manifest, names } = await registry.bridge.prepare(repository, tag);
    expect([image, names]).to.deep.equal([id("a"), ["library/x", "x"]]);
    expect((await registry.bridge.look(repository, tag)).manifest).to.equal(manifest);
    for (const name of names) {
      expect(await registry.ociTags.digest(parseOciName(name), parseOciTag("v1"))).to.equal(manifest);
    }
    expect(await registry.bridge.prepare(parseRepositoryName("foo/UPPER"), tag)).to.have.property("names").that.is
      .empty;
  });

  it("is looked at again, and made whole again", async () => {
    const [repository, tag] = [parseRepositoryName("foo/bar"), parseTagName("v1")];
    const { manifest } = await registry.bridge.prepare(repository, tag);
    for (const key of await keysOf(store, "docker/registry/v2/blobs")) {
      await store.delete(key);
      expect((await registry.bridge.prepare(repository, tag)).manifest).to.equal(manifest);
      expect(await exists(store, key), key).to.equal(true);
    }
  });

  it("remembers what can't be translated until that is changed", async () => {
    await writeImage("b", Buffer.from("no archive".repeat(500)));
    const [repository, tag] = [parseRepositoryName("foo/bar"), parseTagName("v1")];
    const problem = `The image cannot be translated: the layer of image ${id("b")} can't be read: `;
    expect(await told(registry.bridge.prepare(repository, tag))).to.contain(problem);
    expect(await told(over(store).bridge.look(repository, tag))).to.contain(problem);
    await writeImage("b", tarOf({ name: "mended" }));
    expect(await told(registry.bridge.look(repository, tag))).to.equal("fine");
    expect(await told(registry.bridge.prepare(repository, tag))).to.equal("fine");
  });
});
