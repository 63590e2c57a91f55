import { randomBytes } from "node:crypto";
import { mkdir, readdir, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import type { Claim, Tenure } from "../../../src/drivers/storage/claim.ts";
import type { StorageDriver } from "../../../src/drivers/storage/driver.ts";
import {
  decodeHeader,
  decodeRecords,
  encodeHeader,
  encodeRecord,
  headerLength,
  type JournalRecord,
} from "../../../src/drivers/storage/local/journal/records.ts";
import { openLocal } from "../../../src/drivers/storage/local.ts";
import { removeFolder, temporaryFolder } from "../../support/program.ts";
import { exists, source, textOf } from "../../support/storage-content.ts";

const records: readonly JournalRecord[] = [
  { key: "a/b", content: Buffer.from("first"), time: 1_000 },
  { key: "é", content: undefined, time: 2_000.5 },
  { key: "c", content: Buffer.alloc(0), time: 3_000 },
  { key: "a/b", content: Buffer.alloc(70_000, "x"), time: 4_000 },
];

function segment(id: Buffer, of: readonly JournalRecord[], { boot = "boot", serial = 7 } = {}): Buffer {
  return Buffer.concat([encodeHeader({ serial, id, boot }), ...of.map((record) => encodeRecord(id, record))]);
}

/** The records of a segment, with content as text. */
function read(bytes: Buffer): readonly (readonly [string, string | undefined, number])[] {
  const header = decodeHeader(bytes);
  return header
    ? [...decodeRecords(bytes, header.id)].map(({ key, content, time }) => [
        key,
        content && Buffer.from(content).toString(),
        time,
      ])
    : [];
}

describe("a segment of a journal", () => {
  const id = randomBytes(16);
  const whole = segment(id, records);
  const shown = records.map(({ key, content, time }) => [key, content && Buffer.from(content).toString(), time]);

  it("says what was written, in order, whatever lies behind it", () => {
    expect(decodeHeader(whole)).to.deep.equal({ serial: 7, id, boot: "boot" });
    expect(read(whole)).to.deep.equal(shown);
    const older = encodeRecord(randomBytes(16), { key: "old", content: Buffer.from("x"), time: 1 });
    for (const rest of [Buffer.alloc(1_000), older, randomBytes(1_000)]) {
      expect(read(Buffer.concat([whole, rest]))).to.deep.equal(shown);
    }
  });

  it("ends before a record that is torn", () => {
    const [first = Buffer.alloc(0), second = Buffer.alloc(0)] = records.map((record) => encodeRecord(id, record));
    const start = headerLength + first.length;
    for (let length = 0; length < second.length; length++) {
      expect(read(whole.subarray(0, start + length))).to.deep.equal(shown.slice(0, 1));
      const holed = Buffer.from(whole);
      holed.writeUInt8(holed.readUInt8(start + length) ^ 1, start + length);
      expect(read(holed), `a changed byte ${length}`).to.deep.equal(shown.slice(0, 1));
    }
  });

  it("says nothing when its header is torn or gone", () => {
    for (const at of [0, 8, 20, 40, headerLength - 1]) {
      const torn = Buffer.from(whole);
      torn.writeUInt8(torn.readUInt8(at) ^ 1, at);
      expect(read(torn), String(at)).to.deep.equal([]);
    }
    expect(read(Buffer.alloc(headerLength))).to.deep.equal([]);
    expect(read(whole.subarray(0, 100))).to.deep.equal([]);
  });
});

describe("the journal of a local store", () => {
  let root = "";
  let journal = "";
  let store: StorageDriver | undefined;
  /** A claim that others may dispute. */
  let isExclusive = true;
  let changed: (isExclusive: boolean) => void | Promise<void>;
  const claim: Claim = {
    get isExclusive() {
      return isExclusive;
    },
    obstacle: undefined,
    onChange: (listener) => {
      changed = listener;
    },
    release: async () => {
      await Promise.resolve();
    },
  };
  const tenure: Tenure = { claim, isSole: true };

  beforeEach(async () => {
    isExclusive = true;
    root = await temporaryFolder("local-journal");
    journal = join(root, "_registryctl/journal");
  });

  afterEach(async () => {
    await store?.close();
    store = undefined;
    await removeFolder(root);
  });

  const open = async (shared?: Tenure): Promise<StorageDriver> => (store = await openLocal(root, 0, shared ?? tenure));
  const put = async (driver: StorageDriver, key: string, text: string, size: number | undefined = text.length) =>
    await driver.write(key, source(text), size);
  const said = async (): Promise<readonly (readonly [string, string | undefined])[]> => {
    const names = await readdir(journal).catch(() => []);
    const segments = await Promise.all(names.map(async (name) => read(await readFile(join(journal, name)))));
    return segments.flat().map(([key, content]) => [key, content] as const);
  };
  const leave = async (of: readonly JournalRecord[], boot: string, serial = 1): Promise<void> => {
    await mkdir(journal, { recursive: true });
    await writeFile(join(journal, `left-${serial}`), segment(randomBytes(16), of, { boot, serial }));
  };
  const bootNow = async (): Promise<string> => (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
  const record = (key: string, text: string | undefined, time = Date.now()): JournalRecord => ({
    key,
    content: text === undefined ? undefined : Buffer.from(text),
    time,
  });

  it("has small objects whose length is known, and what becomes of them; their files are there at once", async () => {
    const driver = await open();
    await put(driver, "a/b", "one");
    await put(driver, "large", "x".repeat(65_537));
    await driver.write("unknown", source("x"));
    await put(driver, "a/b", "two");
    expect(await said()).to.deep.equal([["a/b", "one"], ["a/b", "two"]]); // prettier-ignore
    expect(await readFile(join(root, "a/b"), "utf8")).to.equal("two");
    await driver.copy("a/b", "copied");
    await driver.move("a/b", "moved");
    await driver.delete("moved");
    await put(driver, "c", "three");
    await driver.write("c", source("four"));
    await put(driver, "d", "five");
    await driver.delete("d");
    await driver.delete("d");
    const keys = (await said()).slice(2).map(([key, content]) => `${key}:${content ?? ""}`);
    expect(keys).to.deep.equal(["a/b:", "c:three", "c:", "d:five", "d:"]);
  });

  it("takes back what could not get its place, and keeps what was there before", async () => {
    const driver = await open();
    await put(driver, "a", "an object");
    const refused = await put(driver, "a/b", "below it").catch((error: unknown) => error);
    expect(refused).to.have.property("code", "INVALID_KEY");
    expect(await said()).to.deep.equal([["a", "an object"], ["a/b", "below it"], ["a/b", undefined]]); // prettier-ignore
    expect(await textOf(driver, "a")).to.equal("an object");
  });

  it("is gone when the store is closed, or others come; and comes back when they have gone", async () => {
    const driver = await open();
    await put(driver, "a", "one");
    isExclusive = false;
    await changed(false);
    expect(await readdir(journal)).to.deep.equal([]);
    await put(driver, "a", "two");
    expect(await said()).to.deep.equal([]);
    isExclusive = true;
    await changed(true);
    await put(driver, "b", "three");
    expect(await said()).to.deep.equal([["b", "three"]]);
    await driver.close();
    store = undefined;
    expect(await readdir(journal)).to.deep.equal([]);
  });

  it("is not there for a process that shares the store with others of its server", async () => {
    await put(await open({ claim, isSole: false }), "a", "one");
    expect(await said()).to.deep.equal([]);
  });

  it("holds more objects than fit into it, each in its place", async function () {
    this.timeout(120_000);
    const driver = await open();
    const text = "x".repeat(60_000);
    await Promise.all(
      Array.from({ length: 8 }, async (_, lane) => {
        for (let turn = 0; turn < 90; turn++) await put(driver, `lane-${lane}/${turn}`, `${lane} ${turn} ${text}`);
      }),
    );
    expect((await readdir(journal)).length).to.be.within(2, 8);
    for (let lane = 0; lane < 8; lane++) {
      expect((await textOf(driver, `lane-${lane}/89`)).startsWith(`${lane} 89 `)).to.equal(true);
    }
  });

  it("brings back what a power cut took: the last that was said of each object, across segments", async () => {
    await leave([record("a/b", "old"), record("gone", "x"), record("kept", "y")], "before", 1);
    await leave([record("a/b", "new"), record("gone", undefined)], "before", 2);
    await mkdir(join(root, "a"));
    await writeFile(join(root, "a/b"), "");
    const past = new Date(Date.now() - 1_000);
    await utimes(join(root, "a/b"), past, past);
    const driver = await open();
    expect(await textOf(driver, "a/b")).to.equal("new");
    expect(await textOf(driver, "kept")).to.equal("y");
    expect(await exists(driver, "gone")).to.equal(false);
    expect(await said()).to.deep.equal([]);
  });

  it("leaves alone what somebody has written since the power cut, and what is as it says", async () => {
    const time = Date.now() - 60_000;
    await leave([record("newer", "journal", time), record("same", "same", time)], "before");
    await writeFile(join(root, "newer"), "somebody's");
    await writeFile(join(root, "same"), "same");
    await utimes(join(root, "same"), new Date(time), new Date(time));
    const before = await stat(join(root, "same"));
    const driver = await open();
    expect(await textOf(driver, "newer")).to.equal("somebody's");
    expect((await stat(join(root, "same"))).ino).to.equal(before.ino);
  });

  it("brings nothing back when only its process ended: what is in the store is what was last done", async () => {
    await leave([record("removed", "x"), record("changed", "old")], await bootNow());
    await writeFile(join(root, "changed"), "by an operator");
    const driver = await open();
    expect(await exists(driver, "removed")).to.equal(false);
    expect(await textOf(driver, "changed")).to.equal("by an operator");
    expect(await readdir(journal).catch(() => [])).to.deep.equal([]);
  });

  it("goes on without when it can't be written, and loses nothing", async () => {
    const driver = await open();
    await mkdir(join(root, "_registryctl"), { recursive: true });
    await writeFile(journal, "in the way");
    await put(driver, "a", "one");
    await put(driver, "b", "two");
    expect(await textOf(driver, "a")).to.equal("one");
    await rm(journal);
    expect(await textOf(driver, "b")).to.equal("two");
  });
});
