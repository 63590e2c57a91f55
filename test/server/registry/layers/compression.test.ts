import { execFile, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { expect } from "chai";
import { RegistryError } from "../../../../src/server/errors.ts";
import { compressionOf, decompressed, sniffMediaType } from "../../../../src/server/registry/layers/compression.ts";
import { needs } from "../../../support/needs.ts";
import { removeFolder, temporaryFolder } from "../../../support/program.ts";
import { randomFrom, seededRandom } from "../../../support/random.ts";
import { chunked, failure, gathered } from "../../../support/tar-bytes.ts";

const run = promisify(execFile);

/** Runs a program with `input` and answers its output. */
function piped(program: string, args: readonly string[], input: Buffer): Buffer {
  const result = spawnSync(program, args, { input, maxBuffer: 1024 ** 3 });
  if (result.status !== 0) throw new Error(`${program}: ${result.stderr.toString()}`);
  return result.stdout;
}

/** Bytes that no program packs any smaller, always the same. */
function noise(size: number): Buffer {
  const random = randomFrom(1);
  return Buffer.from(Array.from({ length: size }, () => random(256)));
}

const media = "application/vnd.docker.image.rootfs.diff.tar";

describe("a layer's compression", () => {
  const cases: readonly (readonly [what: string, head: Buffer, compression: string, mediaType: string])[] = [
    ["nothing", Buffer.alloc(0), "none", media],
    ["a tar archive", Buffer.from("etc/passwd\0\0\0"), "none", media],
    ["an empty tar archive", Buffer.alloc(1024), "none", media],
    ["gzip", Buffer.from("1f8b0800000000", "hex"), "gzip", `${media}.gzip`],
    ["gzip of no known method", Buffer.from("1f8b0700000000", "hex"), "none", media],
    ["xz", Buffer.from("fd377a585a000004", "hex"), "xz", `${media}.xz`],
    ["bzip2", Buffer.from("BZh91AY&SY"), "bzip2", `${media}.bzip2`],
    ["a file BZh0", Buffer.from("BZh0\0\0\0\0"), "none", media],
    ["zstd", Buffer.from("28b52ffd04", "hex"), "zstd", `${media}.zstd`],
    ["a file that has zstd's last letters", Buffer.from("A*M\x18\0\0\0\0"), "none", media],
    ["zstd after a frame to skip", Buffer.from("502a4d1804000000", "hex"), "zstd", `${media}.zstd`],
  ];

  for (const [what, head, compression, mediaType] of cases) {
    it(`of ${what} is ${compression}, and shows as it passes, whatever the chunks`, async () => {
      expect(compressionOf(head)).to.equal(compression);
      for (const size of [1, 4, 100]) {
        const sniffed = sniffMediaType(chunked(head, size));
        expect(await gathered(sniffed.bytes)).to.deep.equal(head);
        expect(sniffed.mediaType).to.equal(mediaType);
      }
    });
  }
});

describe("a layer", () => {
  let folder: string;
  const text = Buffer.from(Array.from({ length: 60_000 }, (_, i) => `line ${i * i}\n`).join(""));
  // Text, noise, runs of all lengths around those that bzip2 encodes: 4 to 259.
  const data = Buffer.concat([
    text,
    noise(300_000),
    ...Array.from({ length: 530 }, (_, i) => Buffer.alloc(i, i % 3)),
    Buffer.alloc(2_000_000),
  ]);
  const half = Math.floor(data.length / 2);
  const halves = [data.subarray(0, half), data.subarray(half)] as const;

  before(async function () {
    needs(this, "xz", "bzip2", "gzip", "zstd");
    folder = await temporaryFolder();
  });

  after(async () => {
    await removeFolder(folder);
  });

  const packings: readonly (readonly [what: string, pack: () => Buffer])[] = [
    ["not at all", () => data],
    ["by gzip", () => piped("gzip", ["-c"], data)],
    ["by gzip in several members", () => Buffer.concat(halves.map((part) => piped("gzip", ["-9c"], part)))],
    ["by gzip with zeros after it", () => Buffer.concat([gzipSync(data), Buffer.alloc(700)])],
    ["by xz", () => piped("xz", ["-c"], data)],
    ["by xz -0", () => piped("xz", ["-0c"], data)],
    ["by xz -9, whose dictionary has 64 MiB", () => piped("xz", ["-9c"], data)],
    ["by xz in many blocks", () => piped("xz", ["-c", "--block-size=100000"], data)],
    ["by xz -T2", () => piped("xz", ["-c", "-T2", "--block-size=500000"], data)],
    ["by xz with CRC32", () => piped("xz", ["-c", "--check=crc32"], data)],
    ["by xz without a check", () => piped("xz", ["-c", "--check=none"], data)],
    [
      "by xz in several streams with padding",
      () => {
        const [first, second] = halves.map((part) => piped("xz", ["-c"], part));
        return Buffer.concat([first!, Buffer.alloc(8), second!, Buffer.alloc(4)]);
      },
    ],
    ["by bzip2", () => piped("bzip2", ["-c"], data)],
    ["by bzip2 -1", () => piped("bzip2", ["-1c"], data)],
    ["by bzip2 in several streams", () => Buffer.concat(halves.map((part) => piped("bzip2", ["-5c"], part)))],
    ["by zstd", () => piped("zstd", ["-c"], data)],
    ["by zstd -19", () => piped("zstd", ["-19c"], data)],
    ["by zstd without a checksum", () => piped("zstd", ["-c", "--no-check"], data)],
    ["by zstd with a window of 128 MiB", () => piped("zstd", ["-1c", "--long=27"], data)],
    [
      "by zstd in several frames with frames to skip",
      () => {
        const skipped = Buffer.concat([Buffer.from("522a4d1805000000", "hex"), Buffer.from("skip!")]);
        const empty = piped("zstd", ["-c"], Buffer.alloc(0));
        const [first, second] = halves.map((part) => piped("zstd", ["-c"], part));
        return Buffer.concat([skipped, skipped, first!, empty, empty, skipped, second!, skipped]);
      },
    ],
    ["by bzip2 with something after it", () => Buffer.concat([piped("bzip2", ["-c"], data), Buffer.from("garbage")])],
  ];

  for (const [what, pack] of packings) {
    it(`packed ${what} is unpacked`, async () => {
      const packed = pack();
      for (const size of [4093, 1_000_000]) {
        const unpacked = await gathered(decompressed(chunked(packed, size)));
        expect(unpacked.equals(data)).to.equal(true);
      }
    });
  }

  for (const [program, args] of [
    ["gzip", ["-c"]],
    ["xz", ["-c"]],
    ["bzip2", ["-c"]],
    ["zstd", ["-c"]],
  ] as const) {
    it(`packed by ${program} may be empty, and arrive byte by byte`, async () => {
      expect(await gathered(decompressed(chunked(piped(program, args, Buffer.alloc(0)), 1)))).to.have.lengthOf(0);
      const hello = piped(program, args, Buffer.from("hello"));
      expect((await gathered(decompressed(chunked(hello, 1)))).toString()).to.equal("hello");
    });

    it(`packed by ${program} is refused when it is cut short or damaged`, async () => {
      const packed = piped(program, args, data);
      for (const length of [7, 40, Math.floor(packed.length / 2), packed.length - 5]) {
        const error = await failure(decompressed(chunked(packed.subarray(0, length))));
        expect(error, `${length} bytes`).to.be.instanceOf(RegistryError).with.property("code", "LAYER_UNSUPPORTED");
      }
      for (const place of [15, Math.floor(packed.length / 3), packed.length - 6]) {
        const damaged = Buffer.from(packed);
        damaged[place]! ^= 0x55;
        const error = await failure(decompressed(chunked(damaged)));
        expect(error, `at ${place}`).to.be.instanceOf(RegistryError).with.property("code", "LAYER_UNSUPPORTED");
      }
    });

    it(`packed by ${program} fails as its source fails`, async () => {
      const broken = new Error("the disk is broken");
      const packed = piped(program, args, data);
      async function* source(): AsyncGenerator<Uint8Array> {
        yield* chunked(packed.subarray(0, 10_000), 1000);
        throw broken;
      }
      expect(await failure(decompressed(source()))).to.equal(broken);
    });

    it(`packed by ${program} lets go of its source when it is not read to its end`, async () => {
      const path = join(folder, program);
      await writeFile(path, piped(program, args, Buffer.concat([data, noise(3_000_000)])));
      for (const chunks of [1, 3]) {
        const source = createReadStream(path);
        let seen = 0;
        for await (const chunk of decompressed(source)) if (chunk.length > 0 && ++seen === chunks) break;
        expect(source.destroyed).to.equal(true);
      }
    });
  }

  it("packed by zstd with a window beyond 128 MiB is refused, and says so", async () => {
    const packed = piped("zstd", ["--ultra", "-1c", "--zstd=wlog=27"], data);
    expect((await gathered(decompressed(chunked(packed)))).equals(data)).to.equal(true);
    // The byte behind magic and descriptor: 17 doublings of a KiB, and 18.
    expect(packed.subarray(4, 6).toString("hex")).to.equal("0488");
    packed[5] = 0x90;
    expect(await failure(decompressed(chunked(packed)))).to.include({
      code: "LAYER_UNSUPPORTED",
      detail: "its zstd window is larger than 128 MiB",
    });
  });

  it("packed by xz with filters or a dictionary beyond 64 MiB is refused", async () => {
    for (const args of [["--x86", "--lzma2"], ["--lzma2=dict=128MiB"], ["--check=sha256"]]) {
      const error = await failure(decompressed(chunked(piped("xz", ["-c", ...args], text))));
      expect(error).to.have.property("code", "LAYER_UNSUPPORTED");
    }
  });

  for (const program of ["bzip2", "zstd"]) {
    it(`packed by ${program} and damaged anywhere ends in bytes or in a refusal`, async function () {
      this.timeout(180_000);
      const random = seededRandom(this);
      const packed = piped(program, ["-c"], Buffer.concat([text.subarray(0, 3000), Buffer.alloc(5000)]));
      for (let i = 0; i < 500; i++) {
        const damaged = Buffer.from(packed);
        for (let j = 0; j <= random(3); j++) damaged[random(packed.length)] = random(256);
        try {
          await gathered(decompressed(chunked(damaged)));
        } catch (error) {
          expect(error).to.have.property("code", "LAYER_UNSUPPORTED");
        }
      }
    });
  }

  it("that unfolds a thousandfold comes in small pieces", async () => {
    const zeros = 100_000_000;
    const expected = createHash("sha256");
    for (let left = zeros; left > 0; left -= 1_000_000) expected.update(Buffer.alloc(1_000_000));
    const digest = expected.digest("hex");
    for (const program of ["bzip2", "gzip", "xz", "zstd"]) {
      const path = join(folder, `zeros.${program}`);
      await run("sh", ["-c", `head -c ${zeros} /dev/zero | ${program} -c > "$0"`, path]);
      const hash = createHash("sha256");
      let largest = 0;
      for await (const chunk of decompressed(createReadStream(path))) {
        hash.update(chunk);
        largest = Math.max(largest, chunk.length);
      }
      expect(hash.digest("hex")).to.equal(digest);
      expect(largest).to.be.at.most(65_536);
    }
  });
});
