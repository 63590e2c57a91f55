import { randomBytes } from "node:crypto";
import { open, truncate, writeFile, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import { borrow, shared, type Part, type SharedFile } from "../../../src/server/http/file-parts.ts";
import { removeFolder, temporaryFolder } from "../../support/program.ts";

const partSize = 1024 * 1024;

describe("parts of files", () => {
  const content = randomBytes(20 * partSize + 5);
  let folder: string;
  let path: string;
  let handles: FileHandle[];
  let lent: Part[];

  beforeEach(async () => {
    folder = await temporaryFolder();
    path = join(folder, "file");
    await writeFile(path, content);
    [handles, lent] = [[], []];
  });
  afterEach(async () => {
    for (const part of lent) {
      await part.bytes.catch(() => undefined);
      part.giveBack();
    }
    for (const handle of handles) await handle.close();
    await removeFolder(folder);
  });

  async function opened(): Promise<SharedFile> {
    const handle = await open(path);
    handles.push(handle);
    return await shared(handle);
  }
  function take(file: SharedFile, position: number): Part {
    const part = borrow(file, position);
    if (!part) throw new Error(`nothing is lent at ${position}`);
    lent.push(part);
    return part;
  }
  function giveBackAll(): void {
    for (const part of lent.splice(0)) part.giveBack();
  }

  it("are what the file has there, up to its end", async () => {
    const file = await opened();
    for (const position of [0, 1, partSize - 1, partSize, 20 * partSize + 4]) {
      const { start, bytes } = take(file, position);
      expect(start).to.equal(position - (position % partSize));
      expect((await bytes).equals(content.subarray(start, start + partSize)), String(position)).to.equal(true);
    }
  });

  it("are read once for all who have the same file open", async () => {
    const [one, other] = [await opened(), await opened()];
    expect(take(other, 5)).to.equal(take(one, 7));
    expect(take(other, partSize)).not.to.equal(take(one, 7));
  });

  it("are read again when the file was changed", async () => {
    const before = take(await opened(), 0);
    await before.bytes;
    await writeFile(path, Buffer.alloc(10, "x"));
    const after = take(await opened(), 0);
    expect((await after.bytes).toString()).to.equal("xxxxxxxxxx");
  });

  it("are shorter when the file is", async () => {
    const file = await opened();
    await truncate(path, 100);
    expect((await take(file, 0).bytes).length).to.equal(100);
    expect((await take(file, partSize).bytes).length).to.equal(0);
  });

  it("keep their bytes while anyone has them, whatever is read meanwhile", async () => {
    const file = await opened();
    const [held, alsoHeld] = [take(file, 0), take(file, 0)];
    await held.bytes;
    held.giveBack();
    lent.splice(lent.indexOf(held), 1);
    for (let at = 1; at <= 20; at += 1) {
      const part = take(file, at * partSize);
      await part.bytes;
      part.giveBack();
      lent.pop();
    }
    expect((await alsoHeld.bytes).equals(content.subarray(0, partSize))).to.equal(true);
  });

  it("are not lent without bound", async () => {
    const file = await opened();
    for (let at = 0; at < 6; at += 1) take(file, at * partSize);
    expect(borrow(file, 17 * partSize)).to.equal(undefined);
    expect(take(file, 3 * partSize)).to.equal(lent[3]);
    await Promise.all(lent.map(async ({ bytes }) => await bytes));
    giveBackAll();
    take(file, 17 * partSize);
  });

  it("that could not be read are tried again", async () => {
    const handle = await open(path);
    const file = await shared(handle);
    await handle.close();
    const failed = take(file, 0);
    expect(await failed.bytes.catch((error: unknown) => error)).to.be.instanceOf(Error);
    expect((await take(await opened(), 0).bytes).length).to.equal(partSize);
  });
});
