import { writeFileSync } from "node:fs";
import { mkdir, readdir, readFile, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import { editFile } from "../../../src/server/accounts/file-edit.ts";
import { removeFolder, temporaryFolder } from "../../support/program.ts";

describe("an edit of a file", () => {
  let folder: string;
  let path: string;
  beforeEach(async () => {
    folder = await temporaryFolder();
    path = join(folder, "users");
  });
  afterEach(async () => {
    await removeFolder(folder);
  });
  const names = async (): Promise<readonly string[]> => (await readdir(folder)).sort();

  it("begins anew when somebody else changes the file without taking the lock", async () => {
    await writeFile(path, "one\n");
    const seen: string[] = [];
    await editFile(path, (text = "") => {
      seen.push(text);
      if (seen.length === 1) writeFileSync(path, "one\ntwo\n");
      return `${text}mine\n`;
    });
    expect(seen).to.deep.equal(["one\n", "one\ntwo\n"]);
    expect(await readFile(path, "utf8")).to.equal("one\ntwo\nmine\n");
    expect(await names()).to.deep.equal(["users"]);
  });

  it("gives up when that goes on", async () => {
    let count = 0;
    const edit = editFile(path, (text = "") => {
      writeFileSync(path, `theirs ${count++}\n`);
      return `${text}mine\n`;
    });
    expect(await edit.catch((error: unknown) => (error instanceof Error ? error.message : ""))).to.contain(
      "changed by others all the time",
    );
    expect(await readFile(path, "utf8")).to.equal(`theirs ${count - 1}\n`);
    expect(await names()).to.deep.equal(["users"]);
  });

  it("takes no heed of a lock that a killed program has left", async () => {
    await writeFile(`${path}.lock`, "");
    const before = new Date(Date.now() - 60_000);
    await utimes(`${path}.lock`, before, before);
    await editFile(path, () => "mine\n");
    expect(await readFile(path, "utf8")).to.equal("mine\n");
    expect(await names()).to.deep.equal(["users"]);
  });

  it("leaves everything as it was when it throws, or there is nothing to change", async () => {
    await writeFile(path, "one\n");
    const failed = editFile(path, () => {
      throw new Error("no");
    });
    expect(await failed.catch((error: unknown) => (error instanceof Error ? error.message : ""))).to.equal("no");
    await editFile(path, (text) => text);
    await editFile(path, () => undefined);
    expect(await readFile(path, "utf8")).to.equal("one\n");
    expect(await names()).to.deep.equal(["users"]);
  });

  it("tells what the file system has against it", async () => {
    await mkdir(path);
    const failed = editFile(path, () => "mine\n");
    expect(await failed.catch((error: unknown) => (error instanceof Error ? error.message : ""))).to.contain("EISDIR");
    expect(await names()).to.deep.equal(["users"]);
  });
});
