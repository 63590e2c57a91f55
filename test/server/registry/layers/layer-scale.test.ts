import { monitorEventLoopDelay } from "node:perf_hooks";
import { gzipSync } from "node:zlib";
import { expect } from "chai";
import { LayerAnalysis } from "../../../../src/server/registry/layers/analysis.ts";
import { sign, tarEnd, tarEntry } from "../../../support/tar-bytes.ts";

const megabyte = 1024 ** 2;

/** Runs `work` and prints what it took of the event loop and, beyond what was there before, of the memory. */
async function measured(what: string, work: () => Promise<void>): Promise<{ readonly megabytes: number }> {
  const before = process.memoryUsage().rss;
  let most = before;
  const sampler = setInterval(() => (most = Math.max(most, process.memoryUsage().rss)), 20);
  const delays = monitorEventLoopDelay({ resolution: 2 });
  const start = performance.now();
  delays.enable();
  await work();
  delays.disable();
  clearInterval(sampler);
  const seconds = (performance.now() - start) / 1000;
  const megabytes = Math.round((most - before) / megabyte);
  const delay = [delays.max, delays.percentile(99)].map((value) => (value / 1e6).toFixed(1)).join(" ms, 99 % ");
  process.stderr.write(`      ${what}: ${seconds.toFixed(1)} s, +${megabytes} MB, loop delay at most ${delay} ms\n`);
  return { megabytes };
}

/** The entries of a layer with very many files, a hundred at a time. */
async function* manyFiles(count: number): AsyncGenerator<Uint8Array> {
  const together = 100;
  const blocks = Buffer.concat(
    Array.from({ length: together }, (_, i) => tarEntry({ name: `./usr/share/files/0000000000-${i}.txt` })),
  );
  for (let done = 0; done < count; done += together) {
    for (let i = 0; i < together; i++) {
      blocks.write(String(done).padStart(10, "0"), i * 512 + "./usr/share/files/".length, "latin1");
      sign(blocks.subarray(i * 512, (i + 1) * 512));
    }
    yield await Promise.resolve(Buffer.from(blocks));
  }
  yield tarEnd;
}

/** A gzipped layer with one file of zeros, made of one gzip member again and again. */
async function* zeros(gigabytes: number): AsyncGenerator<Uint8Array> {
  const part = 4 * megabyte;
  const size = gigabytes * 1024 * megabyte;
  const packed = gzipSync(Buffer.alloc(part));
  yield gzipSync(tarEntry({ name: "./zeros", size }));
  for (let done = 0; done < size; done += part) yield await Promise.resolve(packed);
  yield gzipSync(tarEnd);
}

async function lengthOf(source: AsyncIterable<Uint8Array>): Promise<number> {
  let length = 0;
  for await (const chunk of source) length += chunk.length;
  return length;
}

/** Rows of a file list like those of `manyFiles`. */
async function* manyRows(count: number, from: number): AsyncGenerator<Uint8Array> {
  const rows = (start: number): string =>
    Array.from(
      { length: 1000 },
      (_, i) => `["/usr/share/files/${String((start + i) * 7919)}.txt", "f", false, 0, 1389000000, 420, 0, 0]`,
    ).join(", ");
  yield Buffer.from("[");
  for (let done = 0; done < count; done += 1000) {
    yield await Promise.resolve(Buffer.from(`${done === 0 ? "" : ", "}${rows(from + done)}`));
  }
  yield Buffer.from("]");
}

describe("layers of any size", function () {
  this.timeout(300_000);
  let analysis: LayerAnalysis;

  before(async () => {
    analysis = new LayerAnalysis();
    await lengthOf(analysis.files(manyFiles(100)));
  });

  after(async () => {
    await analysis.close();
  });

  it("with very many files are listed and summed up in little memory", async () => {
    const count = 200_000;
    const list = await measured(`file list of ${count} files`, async () => {
      expect(await lengthOf(analysis.files(manyFiles(count)))).to.be.above(count * 70);
    });
    const sum = await measured(`tarsum of ${count} files`, async () => {
      expect(await analysis.tarsum(Buffer.from("{}"), manyFiles(count))).to.have.lengthOf("tarsum+sha256:".length + 64);
    });
    expect(Math.max(list.megabytes, sum.megabytes)).to.be.below(400);
  });

  it("with files of gigabytes are listed in little memory", async () => {
    const { megabytes } = await measured("file list with a file of 4 GiB", async () => {
      const chunks: Uint8Array[] = [];
      for await (const chunk of analysis.files(zeros(4))) chunks.push(chunk);
      expect(Buffer.concat(chunks).toString()).to.contain(`["/zeros", "f", false, ${4 * 1024 ** 3},`);
    });
    expect(megabytes).to.be.below(400);
  });

  it("with very many files are compared in little memory", async () => {
    const count = 200_000;
    const { megabytes } = await measured(`diff of ${count} files with ${count}`, async () => {
      const ancestors = [async () => Promise.resolve(manyRows(count, count / 2))];
      expect(await lengthOf(analysis.diff(manyRows(count, 0), ancestors))).to.be.above(count * 70);
    });
    expect(megabytes).to.be.below(400);
  });
});
