import { mkdir, readdir, symlink, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import { openLocal } from "../../../src/drivers/storage/local.ts";
import { runs, thisOwner } from "../../../src/drivers/storage/local/owner.ts";
import { compiled } from "../../support/compiled.ts";
import { Program, removeFolder, temporaryFolder } from "../../support/program.ts";
import { put, textOf } from "../../support/storage-content.ts";

const opener = new URL("../../support/storage-opener.ts", import.meta.url);
const hour = 3_600_000;

describe("what killed processes leave in a local store", () => {
  let root = "";
  let tmp = "";

  beforeEach(async () => {
    root = await temporaryFolder("local-leftovers");
    tmp = join(root, "_registryctl/tmp");
    await mkdir(tmp, { recursive: true });
  });

  afterEach(async () => {
    await removeFolder(root);
  });

  /** Opens the store as a new process and lets it clean up. */
  const start = async (): Promise<void> => {
    await (await openLocal(root)).close();
  };

  const leave = async (owner: string, age: number): Promise<void> => {
    const when = new Date(Date.now() - age);
    await mkdir(join(tmp, owner));
    await writeFile(join(tmp, owner, "temporary"), "half an obj");
    for (const path of [join(tmp, owner, "temporary"), join(tmp, owner)]) await utimes(path, when, when);
  };

  it("goes at the next start, when the process was one of this host", async () => {
    const [host = "", space = "", pid = ""] = (await thisOwner()).split(",");
    await leave(`${host},${space},4194305,12345`, 0);
    // A later process has the number: this very one.
    await leave(`${host},${space},${pid},1`, 0);
    await start();
    expect(await readdir(tmp)).to.deep.equal([]);
  });

  it("goes after a day, when nobody can know whether the process still runs", async () => {
    const [host = "", space = ""] = (await thisOwner()).split(",");
    const strangers = ["other-host,1,1,1", `${host},1,1,1`, `${host},${space},x,1`, "no owner at all", `${host},?,1,?`];
    for (const owner of strangers) {
      await leave(owner, 23 * hour);
      await leave(`${owner} old`.replace(/^([^,]*)/, "$1-old"), 25 * hour);
    }
    await start();
    expect((await readdir(tmp)).sort()).to.deep.equal(strangers.sort());
  });

  it("goes where it lies beside its target on another disk, and nothing else that a record could name", async () => {
    const [host = "", space = ""] = (await thisOwner()).split(",");
    const owner = join(tmp, `${host},${space},4194305,12345`);
    await mkdir(owner);
    await mkdir(join(root, "images"));
    for (const name of [".registryctl-1", "object"]) await writeFile(join(root, "images", name), "x");
    await symlink(join(root, "images/.registryctl-1"), join(owner, "1"));
    await symlink(join(root, "images/.registryctl-gone"), join(owner, "2"));
    await symlink(join(root, "images/object"), join(owner, "3"));
    await start();
    expect(await readdir(tmp)).to.deep.equal([]);
    expect(await readdir(join(root, "images"))).to.deep.equal(["object"]);
  });

  it("is not what a process that runs is still writing, whoever starts", async function () {
    this.timeout(180_000);
    const store = await openLocal(root);
    const sibling = async (): Promise<void> => {
      const program = new Program(process.execPath, [...compiled(opener), root]);
      expect(await program.exited, program.output).to.equal(0);
    };
    const slowly = async function* () {
      yield Buffer.from("begun, ");
      await sibling();
      await start();
      yield Buffer.from("ended");
    };
    await store.write("key", slowly());
    expect(await textOf(store, "key")).to.equal("begun, ended");
    await put(store, "other", "still works");
    await store.close();
    expect(await readdir(tmp)).to.deep.equal([]);
  });

  it("is told by who runs: this process does, others don't or can't be known", async () => {
    const here = await thisOwner();
    const [host = "", space = "", pid = "", start = ""] = here.split(",");
    expect(await runs(here, here)).to.be.true;
    expect(await runs(`${host},${space},${pid},${Number(start) + 1}`, here)).to.be.false;
    for (const owner of [
      `x${here}`,
      `${host},9,${pid},${start}`,
      `${here},more`,
      "",
      ",,,",
      `${host},${space},../1,1`,
    ]) {
      expect(await runs(owner, here), owner).to.equal(undefined);
    }
  });
});
