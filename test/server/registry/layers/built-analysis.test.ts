import { spawnSync, type SpawnSyncReturns } from "node:child_process";
import { mkdir, mkdtemp, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { expect } from "chai";
import { build } from "esbuild";
import { needs } from "../../../support/needs.ts";
import { removeFolder } from "../../../support/program.ts";
import { tarOf } from "../../../support/tar-bytes.ts";

const root = fileURLToPath(new URL("../../../../", import.meta.url));

function inPlainNode(script: string): SpawnSyncReturns<string> {
  const options = { cwd: "/", timeout: 120_000, encoding: "utf8" } as const;
  return spawnSync(process.execPath, ["--input-type=module", "-e", script], options);
}

describe("the analysis of layers, built", function () {
  this.timeout(180_000);
  let folder: string;

  before(async function () {
    needs(this, "gzip", "xz", "bzip2");
    await mkdir(join(root, "tmp"), { recursive: true });
    folder = await mkdtemp(join(root, "tmp", "built-"));
    // As deep below the package as what `npm run build` makes, whose thread it starts.
    const entryPoints = [join(root, "src/server/registry/layers/analysis.ts")];
    await build({ entryPoints, outdir: folder, bundle: true, platform: "node", format: "esm", packages: "external" });
  });

  after(async () => {
    await removeFolder(folder);
  });

  it("works in plain Node, from any folder, and does not keep an idle process alive", async () => {
    await writeFile(join(folder, "layer.tar"), tarOf({ name: "./a" }));
    const script = `
      import { execFileSync } from "node:child_process";
      import { Readable } from "node:stream";
      import { LayerAnalysis } from "${pathToFileURL(join(folder, "analysis.js")).href}";
      const analysis = new LayerAnalysis({ idleMilliseconds: 3_600_000 });
      for (const [program, ...args] of [["cat"], ["gzip", "-c"], ["xz", "-c"], ["bzip2", "-c"]]) {
        const packed = execFileSync(program, [...args, "${join(folder, "layer.tar")}"]);
        for await (const chunk of analysis.files(Readable.from([packed]))) process.stdout.write(chunk);
      }
      const lists = async function* () { yield Buffer.from('[["/a", "f", false]]'); };
      for await (const chunk of analysis.diff(lists(), [async () => lists()])) process.stdout.write(chunk);`;
    const result = inPlainNode(script);
    expect(result.stderr).to.equal("");
    const rows = '[["/a", "f", false, 0, 1389000000, 420, 0, 0]]';
    expect(result.stdout).to.equal(`${rows.repeat(4)}{"deleted": {}, "changed": {"/a": ["f", false]}, "created": {}}`);
    expect(result.status).to.equal(0);
  });

  it("is closed before the process ends, also right after a result", () => {
    const script = `
      import { LayerAnalysis } from "${pathToFileURL(join(folder, "analysis.js")).href}";
      const layer = async function* () { yield Buffer.alloc(1024); };
      for (let round = 0; round < 40; round++) {
        const analysis = new LayerAnalysis();
        await analysis.examine(layer());
        // The thread says that it is free by and by.
        for (let turn = 0; turn < round % 4; turn++) await new Promise(setImmediate);
        await analysis.close();
      }
      console.log("closed");`;
    const { stdout, stderr, status } = inPlainNode(script);
    expect({ stdout, stderr, status }).to.deep.equal({ stdout: "closed\n", stderr: "", status: 0 });
  });
});
