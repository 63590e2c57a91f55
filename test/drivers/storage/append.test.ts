import { symlink } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import { checked } from "../../../src/drivers/storage/checked.ts";
import type { Append, StorageDriver } from "../../../src/drivers/storage/driver.ts";
import { DriverError } from "../../../src/drivers/storage/errors.ts";
import { limited } from "../../../src/drivers/storage/limited.ts";
import { openLocal } from "../../../src/drivers/storage/local.ts";
import { measured, type Measurement } from "../../../src/drivers/storage/measured.ts";
import { openMemory } from "../../../src/drivers/storage/memory.ts";
import { retried } from "../../../src/drivers/storage/retried.ts";
import { bytesOf } from "../../support/blob-server.ts";
import { removeFolder, temporaryFolder } from "../../support/program.ts";

async function* of(...texts: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield await Promise.resolve(Buffer.from(text));
}

async function* broken(text: string): AsyncGenerator<Uint8Array> {
  yield* of(text);
  throw new Error("the client has gone");
}

async function failure(work: Promise<unknown>): Promise<string> {
  return await work.then(
    () => "done",
    (error: unknown) => (error instanceof DriverError ? error.code : String(error)),
  );
}

describe("local storage adds to objects", () => {
  let folder = "";
  let driver: StorageDriver;
  let append: Append;
  const measurements: Measurement[] = [];
  before(async () => {
    folder = await temporaryFolder();
    const wrap = (storage: StorageDriver): StorageDriver =>
      checked(limited(retried(measured(storage, (_, measurement) => measurements.push(measurement))), { atOnce: 1 }));
    driver = wrap(await openLocal(folder));
    append =
      driver.append ??
      (async () => {
        await Promise.reject(new Error("the wrappers pass it on"));
      });
    expect(wrap(openMemory()).append, "what can't add doesn't say that it can").to.equal(undefined);
  });
  after(async () => {
    await driver.close();
    await removeFolder(folder);
  });
  const content = async (key: string): Promise<string> => (await bytesOf(await driver.read(key))).toString();

  it("behind what is wanted of it, whatever is there", async () => {
    await append("a/b/one", 0, of("hello", ", "));
    expect(await content("a/b/one")).to.equal("hello, ");
    await append("a/b/one", 7, of("world"));
    expect(await content("a/b/one")).to.equal("hello, world");
    expect(await failure(append("a/b/one", 12, broken(" and all the others")))).to.match(/the client has gone/);
    await append("a/b/one", 12, of("!"));
    expect(await content("a/b/one")).to.equal("hello, world!");
    await append("a/b/one", 5, of());
    expect(await content("a/b/one")).to.equal("hello");
    expect(measurements.map(({ bytes }) => bytes)).to.include(5 + 2);
  });

  it("of many mebibytes, in pieces of any size", async () => {
    const pieces = [1, 65_536, 65_535, 3_000_000, 70_000, 2_097_152, 17].map((size, at) =>
      Buffer.alloc(size, String.fromCharCode(97 + at)).toString(),
    );
    const whole = pieces.join("");
    for (const size of [0, 1, 1_048_576]) {
      await append("large", 0, of(whole.slice(0, size)));
      await append("large", size, of(...pieces));
      expect((await content("large")) === whole.slice(0, size) + whole, `behind ${size} bytes`).to.equal(true);
    }
  });

  it("only where there are as many bytes, and no link", async () => {
    await append("short", 0, of("abc"));
    expect(await failure(append("short", 4, of("x")))).to.equal("NOT_FOUND");
    expect(await failure(append("none", 1, of("x")))).to.equal("NOT_FOUND");
    expect(await failure(append("../out", 0, of("x")))).to.equal("INVALID_KEY");
    await symlink(join(folder, "short"), join(folder, "link"));
    for (const size of [0, 3]) expect(await failure(append("link", size, of("x")))).to.equal("INVALID_KEY");
    expect(await content("short")).to.equal("abc");
    expect(await failure(append("none", 0, of()))).to.equal("done");
    expect(await content("none")).to.equal("");
  });
});
