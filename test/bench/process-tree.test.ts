import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import { cpuSeconds, forgetPeak, memoryBytes } from "../../bench/process-tree.ts";
import { Program, removeFolder, temporaryFolder, until } from "../support/program.ts";

const mebibyte = 1024 * 1024;

/** A process whose child takes memory, gives it back, and then computes for ever. */
const parent = `require("node:child_process").fork(process.argv[1], ["child"]).on("message", (text) => console.log(text));`;
const child = `let b = Buffer.alloc(150 * ${mebibyte}, 1); process.send("taken"); b = undefined; gc();
  setInterval(() => { for (let i = 0; i < 1e7; i++); process.connected || process.exit(); }, 1);`;
const script = `if (process.argv[2] === "child") { ${child} } else { ${parent} }`;

describe("what a process tree uses", () => {
  let program: Program;
  let pid: number;
  let folder: string;

  before(async () => {
    folder = await temporaryFolder();
    const path = join(folder, "tree.cjs");
    await writeFile(path, script);
    program = new Program(process.execPath, ["--expose-gc", path]);
    pid = program.child.pid ?? 0;
    await program.ready("the child", () => program.output.includes("taken"));
  });

  after(async () => {
    await program.stop();
    await removeFolder(folder);
  });

  it("is the CPU of children too", async () => {
    const before = cpuSeconds([pid]);
    await until("CPU seconds of the child", () => cpuSeconds([pid]) > before + 0.05);
  });

  it("is the most memory since it was last forgotten", async () => {
    expect(memoryBytes([pid], "peak")).to.be.above(150 * mebibyte);
    await until("memory given back", () => memoryBytes([pid], "now") < 150 * mebibyte);
    forgetPeak([pid]);
    expect(memoryBytes([pid], "peak")).to.be.within(20 * mebibyte, 150 * mebibyte);
  });

  it("is nothing of processes that there are not", () => {
    expect(cpuSeconds([])).to.equal(0);
    expect(memoryBytes([2 ** 30], "now")).to.equal(0);
  });
});
