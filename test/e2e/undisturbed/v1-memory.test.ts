import { createCipheriv, randomBytes } from "node:crypto";
import { execFileSync } from "node:child_process";
import { gzipSync } from "node:zlib";
import { expect } from "chai";
import { needs } from "../../support/needs.ts";
import { RegistryProcess } from "../../support/registry-process.ts";
import { hashOf } from "../../support/storage-content.ts";
import { describedImage, imageOf, tarOf } from "../../support/v1-images.ts";
import type { V1Image } from "../../support/v1-client.ts";

const mebibyte = 1024 * 1024;

/** `size` bytes that no compression makes smaller, the same for the same key, without holding them. */
async function* noise(size: number, key: Buffer): AsyncGenerator<Buffer> {
  const cipher = createCipheriv("aes-128-ctr", key, Buffer.alloc(16));
  const zeros = Buffer.alloc(256 * 1024);
  for (let left = size; left > 0; left -= zeros.length) {
    await Promise.resolve();
    yield cipher.update(zeros.subarray(0, Math.min(left, zeros.length)));
  }
}

/** A plain tar of one file of noise. */
async function* largeTar(size: number, key: Buffer): AsyncGenerator<Buffer> {
  const header = (await tarOf("large", 0)).subarray(0, 512);
  header.write(size.toString(8).padStart(11, "0"), 124);
  header.write("        ", 148);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  yield header;
  yield* noise(size, key);
  yield Buffer.alloc(1024 + ((512 - (size % 512)) % 512));
}

describe("memory of a server that V1 pushes to and pulls from", () => {
  let registry: RegistryProcess;
  // Each try with a new one, as it is told the most that there was since its start.
  beforeEach(async function () {
    this.timeout(180_000);
    registry = await RegistryProcess.start();
  });
  afterEach(async () => {
    await registry.remove();
  });

  it("carries an image of six layers, 320 MB, xz, bzip2 and empty among them, in little memory", async function () {
    this.timeout(300_000);
    this.retries(2); // other work on the machine disturbs what is measured
    const [xz = "", bzip2 = ""] = needs(this, "xz", "bzip2");
    const key = randomBytes(16);
    const size = 320 * mebibyte;
    const chain: V1Image[] = [imageOf(gzipSync(await tarOf("base", 3_000_000)))];
    const add = (image: (parent: V1Image) => V1Image) => chain.push(image(chain.at(-1)!));
    add((parent) => describedImage(randomBytes(32).toString("hex"), size, () => largeTar(size, key), parent));
    const packed = await Promise.all([tarOf("of-xz", 100_000), tarOf("of-bzip2", 100_000), tarOf("plain", 50_000)]);
    add((parent) => imageOf(execFileSync(xz, ["-c"], { input: packed[0] }), parent));
    add((parent) => imageOf(Buffer.alloc(0), parent));
    add((parent) => imageOf(execFileSync(bzip2, ["-c"], { input: packed[1] }), parent));
    add((parent) => imageOf(packed[2], parent));

    const client = registry.client();
    await client.push("foobar/large", "v1", chain);
    const pulled = await client.pull("foobar/large", "v1");
    expect(pulled).to.have.length(6);
    for (const [index, image] of pulled.entries()) {
      expect(image.json.equals(chain[index]!.json)).to.equal(true);
      expect(image.layer.sha256).to.equal(await hashOf(chain[index]!.layer()));
    }
    const memory = Math.round((await registry.peakMemory()) / mebibyte);
    const delay = await registry.longestLoopDelay();
    process.stderr.write(`      peak memory ${memory} MiB, longest event loop delay ${delay.toFixed(1)} ms\n`);
    expect(memory).to.be.lessThan(200);
    expect(delay).to.be.lessThan(100);
    for (const [index, name] of [
      [1, "/large"],
      [2, "/of-xz"],
      [4, "/of-bzip2"],
      [5, "/plain"],
    ] as const) {
      const files = await client.expect([200], "GET", `/v1/images/${chain[index]!.id}/files`);
      expect((JSON.parse(files.body.toString()) as string[][])[0]![0]).to.equal(name);
    }
  });
});
