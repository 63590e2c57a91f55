import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect } from "chai";

const url = (path: string): string => JSON.stringify(new URL(path, import.meta.url).href);

/** Examines and repacks a layer of 200 MB in a process of its own, and tells how much memory that took more than a small one. */
const script = `
  const { gzipSync } = await import("node:zlib");
  const { LayerAnalysis } = await import(${url("../../../../src/server/registry/layers/analysis.ts")});
  const { tarEntry, tarEnd } = await import(${url("../../../support/tar-bytes.ts")});
  const part = Buffer.from(Array.from({ length: 50_000 }, (_, i) => "line " + (i >> 5)).join(" "));
  const layer = async function* (parts, pack) {
    yield pack(tarEntry({ name: "a", size: parts * part.length }));
    const packed = pack(part);
    for (let i = 0; i < parts; i++) yield packed;
    yield pack(Buffer.alloc(512 - ((parts * part.length) % 512)));
    yield pack(tarEnd);
  };
  const analysis = new LayerAnalysis();
  const work = async (parts) => {
    const { unpackedSize } = await analysis.examine(layer(parts, gzipSync));
    let packed = 0;
    for await (const chunk of analysis.repack(layer(parts, (bytes) => bytes))) packed += chunk.length;
    return { unpackedSize, packed };
  };
  const parts = (megabytes) => Math.ceil((megabytes * 1e6) / part.length);
  await work(parts(20));
  const before = process.resourceUsage().maxRSS;
  const found = await work(parts(200));
  const more = (process.resourceUsage().maxRSS - before) / 1024;
  await analysis.close();
  console.log(JSON.stringify({ ...found, more }));`;

describe("a layer of 200 MB", function () {
  this.timeout(300_000);

  it("is examined and repacked in no more memory than a small one", () => {
    const result = spawnSync(process.execPath, ["--import=tsx", "--input-type=module", "-e", script], {
      cwd: fileURLToPath(new URL("../../../../", import.meta.url)),
      encoding: "utf8",
    });
    expect(result.stderr).to.equal("");
    const { unpackedSize, packed, more } = JSON.parse(result.stdout) as Record<string, number>;
    process.stderr.write(`      ${packed} bytes of ${unpackedSize}, +${Math.round(more!)} MB\n`);
    expect(unpackedSize).to.be.above(200_000_000);
    expect(packed).to.be.above(500_000).and.below(100_000_000);
    expect(more).to.be.below(64);
  });
});
