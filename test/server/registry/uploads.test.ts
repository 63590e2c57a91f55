import { expect } from "chai";
import { openLocal } from "../../../src/drivers/storage/local.ts";
import { openMemory } from "../../../src/drivers/storage/memory.ts";
import type { Entry, StorageDriver } from "../../../src/drivers/storage/driver.ts";
import { parseDigest, type Digest } from "../../../src/server/registry/digest.ts";
import { Documents } from "../../../src/server/registry/documents.ts";
import { parseOciName } from "../../../src/server/registry/oci-names.ts";
import { reapUploads } from "../../../src/server/registry/reaper.ts";
import { UploadIds } from "../../../src/server/registry/upload-id.ts";
import { blobCore, bodyOf, bytesOf, keysOf, type BlobCore } from "../../support/blob-server.ts";
import { digestOf } from "../../support/oci-image.ts";
import { removeFolder, temporaryFolder, until } from "../../support/program.ts";
import { refusal } from "../../support/refusal.ts";

const name = parseOciName("a/b");
const digest = (text: string, algorithm?: string): Digest => parseDigest(digestOf(text, algorithm));
const hour = 3_600_000;

async function content({ linkedBlobs }: BlobCore, text: string): Promise<string> {
  return (await bytesOf(await linkedBlobs.open(name, digest(text)))).toString();
}

/** `driver`, with what is done of it told to `seen`. */
function watched(driver: StorageDriver, seen: (operation: string, key: string) => Promise<void> | void): StorageDriver {
  return new Proxy(driver, {
    get: (target, property) => {
      const value: unknown = Reflect.get(target, property, target);
      if (typeof value !== "function") return value;
      if (property === "list" || property === "children" || property === "localPath") {
        return (...args: unknown[]) => value.apply(target, args) as unknown;
      }
      return async (...args: unknown[]) => {
        await seen(String(property), String(args[0]));
        return (await value.apply(target, args)) as unknown;
      };
    },
  });
}

describe("uploads", () => {
  it("commit what came in one body without reading it again", async () => {
    const operations: string[] = [];
    const core = blobCore(watched(openMemory(), (operation, key) => void operations.push(`${operation} ${key}`)));
    const id = await core.uploads.start(name);
    await core.uploads.append(name, id, { source: bodyOf("hel", "lo") });
    await core.uploads.finish(name, id, digest("hello"));
    const whole = await core.uploads.start(name);
    await core.uploads.finish(name, whole, digest("all"), { source: bodyOf("all") });
    expect(operations.filter((text) => /^(read|copy) (?!_registryctl\/keys)/.test(text))).to.deep.equal([]);
    const writes = operations.filter((text) => text.startsWith("write") && /\/data(\/[^/]*)?$/.test(text));
    expect(writes, "each body is written once").to.have.length(2);
    expect(await content(core, "hello")).to.equal("hello");
  });

  it("read what came in several bodies once", async () => {
    const reads: string[] = [];
    const core = blobCore(
      watched(openMemory(), (operation, key) => {
        if (operation === "read" && key.includes("/data/")) reads.push(key);
      }),
    );
    const id = await core.uploads.start(name);
    for (const text of ["a", "b", "c"]) await core.uploads.append(name, id, { source: bodyOf(text) });
    await core.uploads.finish(name, id, digest("abcd"), { source: bodyOf("d") });
    expect(reads).to.have.length(3);
    expect(new Set(reads).size).to.equal(3);
    expect(await content(core, "abcd")).to.equal("abcd");
  });

  it("are gone on with by another process, after a restart too", async () => {
    const folder = await temporaryFolder();
    const opened: StorageDriver[] = [];
    const process = async (): Promise<BlobCore> => {
      const driver = await openLocal(folder);
      opened.push(driver);
      return blobCore(driver);
    };
    const id = await (await process()).uploads.start(name);
    expect(await (await process()).uploads.append(name, id, { source: bodyOf("hello, ") })).to.equal(7);
    const other = await process();
    expect(await other.uploads.size(name, id)).to.equal(7);
    await other.uploads.append(name, id, { source: bodyOf("wor"), range: { start: 7, end: 10 } });
    const last = await process();
    await last.uploads.finish(name, id, digest("hello, world"), { source: bodyOf("ld") });
    expect(await content(other, "hello, world")).to.equal("hello, world");
    const single = await (await process()).uploads.start(name);
    await (await process()).uploads.append(name, single, { source: bodyOf("one") });
    await (await process()).uploads.finish(name, single, digest("one"));
    expect(await content(last, "one")).to.equal("one");
    for (const driver of opened) await driver.close();
    await removeFolder(folder);
  });

  for (const kind of ["memory", "local"] as const) {
    it(`let one of several processes win that add at the same time, over ${kind} storage`, async () => {
      const folder = await temporaryFolder();
      const driver = kind === "memory" ? openMemory() : await openLocal(folder);
      for (let round = 0; round < 20; round++) {
        // All have their body before any looks: they meet in the narrowest place.
        let arrived = 0;
        let release: () => void = () => undefined;
        const together = new Promise<void>((resolve) => (release = resolve));
        async function* body(text: string): AsyncGenerator<Uint8Array> {
          yield Buffer.from(text);
          if (++arrived === 3) release();
          await together;
        }
        const processes = [blobCore(driver), blobCore(driver), blobCore(driver)];
        const id = await processes[0]!.uploads.start(name);
        const outcomes = await Promise.all(
          processes.map(
            async ({ uploads }, at) => await refusal(uploads.append(name, id, { source: body(`text ${at}`) })),
          ),
        );
        expect(outcomes.toSorted(), `round ${round}`).to.deep.equal([
          "BLOB_UPLOAD_OUT_OF_ORDER",
          "BLOB_UPLOAD_OUT_OF_ORDER",
          "done",
        ]);
        const winner = `text ${outcomes.indexOf("done")}`;
        await processes[2]!.uploads.finish(name, id, digest(winner));
        expect(await content(processes[0]!, winner)).to.equal(winner);
        expect(await keysOf(driver, "_registryctl/uploads")).to.deep.equal([]);
      }
      await driver.close();
      await removeFolder(folder);
    });
  }

  it("never let a second one win, also where clocks can't tell who was first", async () => {
    const store = openMemory();
    async function* list(...args: Parameters<StorageDriver["list"]>): AsyncGenerator<Entry> {
      for await (const entry of store.list(...args)) yield { ...entry, modified: new Date(0) };
    }
    const driver = new Proxy(store, {
      get: (target, property) => {
        const value: unknown = Reflect.get(target, property, target);
        if (property === "list") return list;
        return typeof value === "function" ? (value.bind(target) as unknown) : value;
      },
    });
    const [one, other] = [blobCore(driver), blobCore(driver)];
    const round = async (): Promise<void> => {
      const id = await one.uploads.start(name);
      async function* late(): AsyncGenerator<Uint8Array> {
        yield Buffer.from("late");
        await one.uploads.append(name, id, { source: bodyOf("first") });
      }
      expect(await refusal(other.uploads.append(name, id, { source: late() }))).to.equal("BLOB_UPLOAD_OUT_OF_ORDER");
      expect(await one.uploads.size(name, id)).to.equal(5);
    };
    await Promise.all(Array.from({ length: 10 }, round));
  });

  it("end with the same blob when finished twice at the same time", async () => {
    const driver = openMemory();
    const [one, other] = [blobCore(driver), blobCore(driver)];
    for (const bodies of [["hello"], ["hel", "lo"]]) {
      const id = await one.uploads.start(name);
      for (const text of bodies) await one.uploads.append(name, id, { source: bodyOf(text) });
      const outcomes = await Promise.all(
        [one, other].map(async ({ uploads }) => await refusal(uploads.finish(name, id, digest("hello")))),
      );
      expect(outcomes).to.include("done");
      // Whoever comes late finds the upload as if nothing had been added to it, or only a part.
      for (const outcome of outcomes) expect(outcome).to.be.oneOf(["done", "BLOB_UPLOAD_UNKNOWN", "DIGEST_INVALID"]);
      expect(await content(other, "hello")).to.equal("hello");
    }
  });

  it("are over for a body that is still coming when they are cancelled", async () => {
    const driver = openMemory();
    const [one, other] = [blobCore(driver), blobCore(driver)];
    for (const canceller of [one, other]) {
      const id = await one.uploads.start(name);
      async function* body(): AsyncGenerator<Uint8Array> {
        yield Buffer.from("abc");
        await canceller.uploads.cancel(name, id);
      }
      expect(await refusal(one.uploads.append(name, id, { source: body() }))).to.equal("BLOB_UPLOAD_UNKNOWN");
      expect(await refusal(other.uploads.size(name, id))).to.equal("BLOB_UPLOAD_UNKNOWN");
    }
    const left = await keysOf(driver, "_registryctl/uploads");
    expect(left.map((key) => key.replace(/.*\//, ""))).to.deep.equal(["cancelled", "cancelled"]);
  });

  it("keep a place that a process died over for nobody else", async () => {
    const driver = openMemory();
    const core = blobCore(driver);
    const id = await core.uploads.start(name);
    await core.uploads.append(name, id, { source: bodyOf("first") });
    const stray = `_registryctl/uploads/${id}/chunks/${"0".repeat(16)}-3-ffffffff-ffff-ffff-ffff-ffffffffffff`;
    await driver.write(stray, bodyOf());
    expect(await core.uploads.size(name, id)).to.equal(5);
    await core.uploads.finish(name, id, digest("first"));
    expect(await content(core, "first")).to.equal("first");
  });

  it("are reaped when nobody has added to them for the age, cancelled ones too", async () => {
    const driver = openMemory();
    const core = blobCore(driver, { maxAge: 2 });
    const [old, cancelled] = [await core.uploads.start(name), await core.uploads.start(name)];
    await core.uploads.append(name, old, { source: bodyOf("a") });
    await core.uploads.append(name, old, { source: bodyOf("b") });
    await core.uploads.cancel(name, cancelled);
    await driver.write("_registryctl/uploads/8e5b6b3c-0000-4000-8000-000000000000", bodyOf("of V1"));
    await core.uploads.put(name, digest("kept"), { source: bodyOf("kept") });
    expect(await core.uploads.reap(Date.now() + 1.9 * hour)).to.equal(0);
    expect(await core.uploads.size(name, old)).to.equal(2);
    expect(await core.uploads.reap(Date.now() + 2.1 * hour)).to.equal(6);
    expect(await keysOf(driver, "_registryctl/uploads")).to.deep.equal([]);
    expect(await content(core, "kept")).to.equal("kept");
  });

  it("that never had a body are over at the age too", async () => {
    const driver = openMemory();
    const ids = new UploadIds(driver, new Documents(driver));
    const core = blobCore(driver, { maxAge: 2 });
    const stale = await ids.issue(name, "sha256", Date.now() - 2.1 * hour);
    expect(await refusal(core.uploads.size(name, stale))).to.equal("BLOB_UPLOAD_UNKNOWN");
    const young = await ids.issue(name, "sha256", Date.now() - 1.9 * hour);
    expect(await core.uploads.size(name, young)).to.equal(0);
  });
});

describe("ids of uploads", () => {
  it("are known by all processes that begin on an empty store at the same time", async () => {
    const driver = openMemory();
    const processes = Array.from({ length: 5 }, () => new UploadIds(driver, new Documents(driver)));
    const issued = await Promise.all(processes.map(async (ids) => await ids.issue(name, "sha512")));
    for (const ids of processes) {
      for (const id of issued) expect(await ids.read(name, id)).to.include({ id, algorithm: "sha512" });
    }
    expect(new Set(issued).size).to.equal(5);
  });

  it("are of one repository, and nothing of them can be changed", async () => {
    const driver = openMemory();
    const ids = new UploadIds(driver, new Documents(driver));
    const id = await ids.issue(name, "sha256");
    expect(await ids.read(parseOciName("a/bc"), id)).to.equal(undefined);
    for (let at = 0; at < id.length; at++) {
      const changed = `${id.slice(0, at)}${id[at] === "0" ? "1" : "0"}${id.slice(at + 1)}`;
      expect(await ids.read(name, changed), `digit ${at}`).to.equal(undefined);
    }
    for (const odd of ["", "x", id.toUpperCase(), `${id}00`, "../../x"]) {
      if (odd !== id) expect(await ids.read(name, odd)).to.equal(undefined);
    }
    const strangers = openMemory();
    expect(await new UploadIds(strangers, new Documents(strangers)).read(name, id)).to.equal(undefined);
  });
});

describe("reapUploads", () => {
  it("reaps at once and again, goes on after a failure, and waits when it is closed", async () => {
    let calls = 0;
    let finish: (removed: number) => void = () => undefined;
    const errors: unknown[] = [];
    const reap = async (): Promise<number> => {
      calls += 1;
      if (calls === 1) throw new Error("no storage");
      return await new Promise((resolve) => (finish = resolve));
    };
    const reaper = reapUploads({ reap }, { every: 1, onError: (error) => errors.push(error) });
    await until("the second reaping", () => calls === 2);
    expect(errors).to.have.length(1);
    let closed = false;
    const closing = reaper.close().then(() => (closed = true));
    await Promise.resolve();
    expect(closed).to.equal(false);
    finish(0);
    await closing;
    expect(calls).to.equal(2);
  });
});
