import { execFileSync } from "node:child_process";
import {
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rename,
  stat,
  symlink,
  truncate,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import type { StorageDriver } from "../../../src/drivers/storage/driver.ts";
import { DriverError } from "../../../src/drivers/storage/errors.ts";
import { findStorage, storageDefinitions } from "../../../src/drivers/storage/index.ts";
import { readFailure, writeFailure } from "../../../src/drivers/storage/local/failure.ts";
import { openLocal } from "../../../src/drivers/storage/local.ts";
import { needs } from "../../support/needs.ts";
import { removeFolder, temporaryFolder } from "../../support/program.ts";
import {
  bytesOf, first, keysOf, namesOf, outcome, put, rejection, repeated, source, textOf,
} from "../../support/storage-content.ts"; // prettier-ignore

describe("local storage", () => {
  let folder = "";
  let root = "";
  let store: StorageDriver;

  beforeEach(async () => {
    folder = await temporaryFolder("local-files");
    root = join(folder, "store");
    store = await openLocal(root);
  });

  afterEach(async () => {
    await store.close();
    await removeFolder(folder);
  });

  /** The files of the store, with those that it keeps to itself. */
  const files = async (): Promise<string[]> => {
    const entries = await readdir(root, { recursive: true, withFileTypes: true });
    return entries.filter((entry) => !entry.isDirectory()).map(({ name, parentPath }) => join(parentPath, name).slice(root.length + 1)); // prettier-ignore
  };

  it("is defined under its names, with the folder and the reserve of its disk as settings", async () => {
    const definition = findStorage("file");
    expect(definition).to.equal(findStorage("local"));
    expect(storageDefinitions).to.include(definition);
    expect(findStorage("nothing")).to.equal(undefined);
    expect(Object.keys(definition?.options.shape ?? {})).to.deep.equal(["storage_path", "min_free", "shared"]);
    const opened = await definition?.open({ storage_path: join(folder, "new/folder"), loglevel: "info" });
    await put(opened!, "key", "content");
    expect(await readFile(join(folder, "new/folder/key"), "utf8")).to.equal("content");
    expect(await rejection(definition!.open({ storage_path: 5 }))).to.have.property("name", "ZodError");
    await opened?.close();
  });

  it("keeps an object in the file that its key names, as the Python registry did, and no other", async () => {
    await put(store, "images/abc/json", "{}");
    expect(await files()).to.deep.equal(["images/abc/json"]);
    await writeFile(join(root, "images/abc/ancestry"), "[]");
    expect(await textOf(store, "images/abc/ancestry")).to.equal("[]");
    await rejection(store.write("images/abc/json", source("too short"), 100));
    await store.copy("images/abc/json", "images/abd/json");
    await store.delete("images/abc/json");
    await store.ping();
    expect((await files()).sort()).to.deep.equal(["images/abc/ancestry", "images/abd/json"]);
  });

  it("removes folders that become empty, but none directly below its root", async () => {
    await put(store, "images/a/b/c", "x");
    await put(store, "images/d", "x");
    await store.delete("images/a/b/c");
    expect(await readdir(join(root, "images"))).to.deep.equal(["d"]);
    await store.move("images/d", "repositories/e/f");
    expect(await readdir(join(root, "images"))).to.deep.equal([]);
    expect(await namesOf(store, "")).to.deep.equal(["repositories"]);
  });

  it("takes folders without objects for nothing", async () => {
    await mkdir(join(root, "a/b/c"), { recursive: true });
    await mkdir(join(root, "d"));
    await put(store, "e/f", "x");
    expect(await namesOf(store, "")).to.deep.equal(["e"]);
    expect(await namesOf(store, "a")).to.deep.equal([]);
    await put(store, "d", "an object now");
    expect(await textOf(store, "d")).to.equal("an object now");
  });

  it("keeps its own files out of reach", async () => {
    const seen: string[][] = [];
    const watched = async function* () {
      yield Buffer.from("x");
      seen.push(await files(), await keysOf(store, ""), await namesOf(store, "_registryctl"));
      seen.push(await namesOf(store, ""), await namesOf(store, "_registryctl/tmp").catch(() => ["refused"]));
    };
    await store.write("key", watched());
    const [temporary = ""] = seen[0] ?? [];
    expect(temporary).to.match(/^_registryctl\/tmp\/[^/]+\/[0-9a-f-]{36}$/);
    expect(seen.slice(1)).to.deep.equal([[], [], [], ["refused"]]);
    for (const key of [temporary, "_registryctl/tmp", "_registryctl/tmp/x", "a/.registryctl-x", ".registryctl-x/b"]) {
      for (const attempt of [
        () => store.stat(key),
        () => store.read(key),
        () => put(store, key, "x"),
        () => store.delete(key),
      ]) {
        expect(await outcome(attempt()), key).to.equal("INVALID_KEY");
      }
      expect(() => store.localPath(key)).to.throw(DriverError);
    }
    await put(store, "_registryctl/tmpx/y", "ours");
    expect(await namesOf(store, "_registryctl")).to.deep.equal(["tmpx"]);
  });

  it("refuses names that the file system can't have, without a fault", async () => {
    await put(store, "from", "x");
    for (const key of ["x".repeat(256), `a/${"é".repeat(200)}/b`, "a\0b", `${"x/".repeat(3000)}x`]) {
      for (const attempt of [
        () => put(store, key, "x"),
        () => store.copy("from", key),
        () => store.move("from", key),
        () => store.copy(key, "to"),
        () => store.stat(key),
        () => store.read(key),
        () => store.delete(key),
        () => first(store.list(key)),
        () => first(store.children(key)),
      ]) {
        expect(await outcome(attempt()), key.slice(0, 20)).to.equal("INVALID_KEY");
      }
    }
    expect(await files()).to.deep.equal(["from"]);
  });

  it("fails a stream, instead of ending it, when the file becomes shorter below it", async () => {
    await store.write("key", repeated(Buffer.alloc(65_536, "x"), 4_000_000), 4_000_000);
    const stream = await store.read("key");
    await truncate(join(root, "key"), 100_000);
    expect(await rejection(drain(stream))).to.have.property("code", "UNAVAILABLE");
  });

  it("does not wait for a pipe that lies in its folder", async function () {
    needs(this, "mkfifo");
    await mkdir(join(root, "a"));
    execFileSync("mkfifo", [join(root, "a/pipe")]);
    expect(await outcome(store.read("a/pipe"))).to.equal("NOT_FOUND");
    expect(await outcome(store.stat("a/pipe"))).to.equal("NOT_FOUND");
    expect(await keysOf(store, "a")).to.deep.equal([]);
  });

  it("fails a ping when it could not write", async () => {
    await store.ping();
    await rename(root, `${root}-moved`);
    await writeFile(root, "a file is in the way");
    expect(await outcome(store.ping())).to.equal("INVALID_KEY");
    expect(await outcome(openLocal(root))).to.equal("INVALID_KEY");
  });

  it("classifies what the file system says", () => {
    const classes = { ENOSPC: "NO_SPACE", EDQUOT: "NO_SPACE", EIO: "UNAVAILABLE", EMFILE: "UNAVAILABLE", ESTALE: "UNAVAILABLE", EROFS: "UNAVAILABLE", EACCES: "UNAVAILABLE", ENOTDIR: "INVALID_KEY", ENAMETOOLONG: "INVALID_KEY" }; // prettier-ignore
    for (const [code, expected] of Object.entries(classes)) {
      const cause = Object.assign(new Error(code), { code });
      const failure = writeFailure("key", cause);
      expect([failure.code, failure.cause], code).to.deep.equal([expected, cause]);
    }
    const reads = { ENOENT: "NOT_FOUND", ENOTDIR: "NOT_FOUND", ELOOP: "NOT_FOUND", EIO: "UNAVAILABLE", EMFILE: "UNAVAILABLE", EACCES: "UNAVAILABLE" }; // prettier-ignore
    for (const [code, expected] of Object.entries(reads)) {
      expect(readFailure("key", Object.assign(new Error(code), { code })).code, code).to.equal(expected);
    }
    const known = new DriverError("NOT_FOUND", "as it is");
    expect(writeFailure("key", known)).to.equal(known);
  });

  describe("with symbolic links", () => {
    let outside = "";

    beforeEach(async () => {
      outside = join(folder, "outside");
      await mkdir(join(outside, "below"), { recursive: true });
      await writeFile(join(outside, "secret"), "secret");
    });

    it("may itself be one, and shows paths as they were configured", async () => {
      await symlink(root, join(folder, "link"));
      const linked = await openLocal(join(folder, "link"));
      await put(linked, "a/b", "content");
      expect(await textOf(store, "a/b")).to.equal("content");
      expect(linked.localPath("a/b")).to.equal(join(folder, "link/a/b"));
      await linked.close();
    });

    it("follows folders linked directly below the root: an operator put them elsewhere", async () => {
      await symlink(outside, join(root, "images"));
      expect(await textOf(store, "images/secret")).to.equal("secret");
      await put(store, "images/a/b", "content");
      expect(await readFile(join(outside, "a/b"), "utf8")).to.equal("content");
      expect(await keysOf(store, "")).to.deep.equal(["images/a/b", "images/secret"]);
      expect(await namesOf(store, "images")).to.deep.equal(["a", "secret"]);
      await store.move("images/a/b", "images/c/d/e");
      await store.delete("images/c/d/e");
      await store.delete("images/secret");
      expect(await readdir(outside)).to.deep.equal(["below"]);
      expect(await readlink(join(root, "images"))).to.equal(outside);
    });

    it("follows no other: nothing behind them is read, listed, changed or deleted", async () => {
      await put(store, "a/object", "x");
      await symlink(outside, join(root, "a/link"));
      await symlink(join(outside, "secret"), join(root, "a/file"));
      await symlink(join(outside, "secret"), join(root, "top-file"));
      for (const key of ["a/link/secret", "a/link", "a/file", "top-file", "top-file/x"]) {
        expect(await outcome(store.read(key)), key).to.equal("NOT_FOUND");
        expect(await outcome(store.stat(key)), key).to.equal("NOT_FOUND");
        expect(await outcome(store.move(key, "stolen")), key).to.equal("NOT_FOUND");
        expect(await outcome(store.copy(key, "stolen")), key).to.equal("NOT_FOUND");
        expect(await outcome(store.link(key, "stolen")), key).to.equal("NOT_FOUND");
      }
      expect(await keysOf(store, "")).to.deep.equal(["a/object"]);
      expect(await keysOf(store, "a/link")).to.deep.equal([]);
      expect(await namesOf(store, "a/link/below")).to.deep.equal([]);
      expect(await namesOf(store, "")).to.deep.equal(["a"]);
      for (const key of ["a/link/secret", "a/link/new", "a/link/below/x/new"]) {
        expect(await outcome(put(store, key, "x")), key).to.equal("INVALID_KEY");
        expect(await outcome(store.copy("a/object", key)), key).to.equal("INVALID_KEY");
        expect(await outcome(store.move("a/object", key)), key).to.equal("INVALID_KEY");
      }
      await store.delete("a/link/secret");
      expect(await readFile(join(outside, "secret"), "utf8")).to.equal("secret");
      expect((await readdir(outside, { recursive: true })).sort()).to.deep.equal(["below", "secret"]);
    });

    it("replaces or deletes a link in the place of an object, not what it leads to", async () => {
      for (const name of ["written", "deleted"]) await symlink(join(outside, "secret"), join(root, name));
      await put(store, "written", "content");
      await store.delete("deleted");
      expect(await textOf(store, "written")).to.equal("content");
      expect(await readFile(join(outside, "secret"), "utf8")).to.equal("secret");
      expect(await readdir(root))
        .to.include("written")
        .and.not.include("deleted");
    });
  });

  it("links objects without a second copy, and leaves nothing beside", async () => {
    await put(store, "images/a/layer", "content");
    for (const key of ["blobs/a/data", "blobs/a/data", "images/a/layer"]) await store.link("images/a/layer", key);
    const [first, second] = await Promise.all(["images/a/layer", "blobs/a/data"].map((key) => stat(join(root, key))));
    expect(second).to.include({ ino: first?.ino, nlink: 2 });
    expect(await files()).to.have.members(["images/a/layer", "blobs/a/data"]);
  });

  describe("with a folder on another disk", () => {
    let disk = "";

    before(async function () {
      const here = await stat(".");
      const other = await stat("/dev/shm").catch(() => here);
      if (other.dev !== here.dev) return;
      process.stderr.write("  skipped: there is no second file system at /dev/shm\n");
      this.skip();
    });

    beforeEach(async () => {
      disk = await mkdtemp("/dev/shm/registryctl-");
      await symlink(disk, join(root, "images"));
    });

    afterEach(async () => {
      await removeFolder(disk);
    });

    it("writes, moves and copies there and back, and leaves nothing beside", async () => {
      await put(store, "images/a/b", "one");
      await put(store, "here/c", "two");
      await store.copy("here/c", "images/a/copied");
      await store.link("here/c", "images/a/linked");
      await store.move("here/c", "images/moved");
      await store.move("images/a/b", "here/d/e");
      expect(await keysOf(store, "")).to.deep.equal(["here/d/e", "images/a/copied", "images/a/linked", "images/moved"]);
      expect(await textOf(store, "images/moved")).to.equal("two");
      expect((await bytesOf(store, "here/d/e")).toString()).to.equal("one");
      expect((await readdir(disk, { recursive: true })).sort()).to.deep.equal(["a", "a/copied", "a/linked", "moved"]);
      expect(await files()).to.have.members(["here/d/e", "images"]);
    });
  });
});

async function drain(stream: AsyncIterable<unknown>): Promise<number> {
  let chunks = 0;
  for await (const chunk of stream) if (chunk) chunks += 1;
  return chunks;
}
