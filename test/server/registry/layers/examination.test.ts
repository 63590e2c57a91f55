import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { expect } from "chai";
import { archiveOf } from "../../../../src/server/registry/layers/archive.ts";
import { examined } from "../../../../src/server/registry/layers/examination.ts";
import { gzipped } from "../../../../src/server/registry/layers/gzip.ts";
import { needs } from "../../../support/needs.ts";
import { removeFolder, temporaryFolder } from "../../../support/program.ts";
import { randomFrom, seededRandom, type Random } from "../../../support/random.ts";
import { chunked, failure, gathered, paxHeader, tarEnd, tarEntry, tarOf } from "../../../support/tar-bytes.ts";

const packers = { none: ["cat"], gzip: ["gzip", "-c"], xz: ["xz", "-c"], bzip2: ["bzip2", "-c"], zstd: ["zstd", "-c"] };

function packed(compression: keyof typeof packers, input: Buffer): Buffer {
  const [program = "", ...args] = packers[compression];
  const result = spawnSync(program, args, { input, maxBuffer: 1024 ** 3 });
  if (result.status !== 0) throw new Error(`${program}: ${result.stderr.toString()}`);
  return result.stdout;
}

function sha256(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

function noise(random: Random, size: number): Buffer {
  return Buffer.from(Array.from({ length: size }, () => random(256)));
}

/** Always the same archive: text, noise, a long name, folders and links. */
function sampleArchive(): Buffer {
  const text = Array.from({ length: 20_000 }, (_, i) => `line ${i * i}\n`).join("");
  return tarOf(
    { name: "etc", type: "5", mode: 0o755 },
    { name: "etc/text", content: Buffer.from(text) },
    { name: "etc/noise", content: noise(randomFrom(7), 200_001) },
    paxHeader({ path: `etc/${"long".repeat(80)}`, "SCHILY.xattr.user.x": "y" }),
    { name: "etc/long", content: Buffer.from("x") },
    { name: "etc/link", type: "2", linkname: "text" },
    { name: "etc/.wh.gone" },
  );
}

const dockersEmptyArchive = "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef";

describe("the examination of a layer", function () {
  this.timeout(180_000);
  let folder: string;
  let archive: Buffer;

  before(async function () {
    needs(this, "tar", "gzip", "xz", "bzip2", "zstd");
    folder = await temporaryFolder("examination");
    await mkdir(join(folder, "tree/etc"), { recursive: true });
    await writeFile(join(folder, "tree/etc/noise"), noise(randomFrom(3), 100_000));
    await writeFile(join(folder, `tree/etc/${"long".repeat(50)}`), "text\n".repeat(30_000));
    await symlink("noise", join(folder, "tree/etc/link"));
    archive = execFileSync("tar", ["-C", join(folder, "tree"), "-cf", "-", "."], { maxBuffer: 1024 ** 3 });
  });

  after(async () => {
    await removeFolder(folder);
  });

  for (const compression of ["none", "gzip", "xz", "bzip2", "zstd"] as const) {
    it(`of an archive packed by ${packers[compression].join(" ")} finds both digests, whatever the chunks`, async () => {
      const layer = packed(compression, archive);
      for (const size of [1009, 1_000_000]) {
        expect(await examined(chunked(layer, size), "sha256")).to.deep.equal({
          digest: sha256(layer),
          size: layer.length,
          compression,
          diffId: sha256(archive),
          unpackedSize: archive.length,
        });
      }
    });

    it(`of an archive packed by ${packers[compression].join(" ")} and cut short says so, with the digest of what is there`, async function () {
      const random = seededRandom(this);
      const layer = packed(compression, archive);
      // What has no end may end with an entry: there it is whole.
      const last = compression === "none" ? sampleLength(archive) : layer.length;
      for (let i = 0; i < 25; i++) {
        const length = 1 + random(last - 1);
        if (compression === "none" && isBetweenEntries(archive, length)) continue;
        const cut = layer.subarray(0, length);
        const found = await examined(chunked(cut), "sha256");
        expect(found, `${length} bytes`).to.include({ digest: sha256(cut), size: length });
        expect(found, `${length} bytes`).to.have.property("problem").that.is.a("string").and.not.empty;
        expect(found).to.not.have.property("diffId");
      }
    });

    it(`of random bytes packed by ${packers[compression].join(" ")} says that they are no archive`, async function () {
      const random = seededRandom(this);
      for (const size of [1, 511, 512, 100_000]) {
        const found = await examined(chunked(packed(compression, Buffer.alloc(size, 1 + random(255)))), "sha256");
        expect(found, `${size} bytes`).to.have.property("problem").that.matches(/^(?:a tar header|the archive is cut short)/); // prettier-ignore
      }
    });
  }

  it("can be of another digest", async () => {
    const { digest, ...rest } = await examined(chunked(archive), "sha512");
    expect(digest).to.equal(`sha512:${createHash("sha512").update(archive).digest("hex")}`);
    expect(rest).to.include({ diffId: sha256(archive) });
  });

  it("of no byte finds Docker's archive without entries", async () => {
    const unpacked = { diffId: dockersEmptyArchive, unpackedSize: 1024 };
    const nothing = { digest: sha256(Buffer.alloc(0)), size: 0, compression: "none", ...unpacked };
    expect(await examined(chunked(Buffer.alloc(0)), "sha256")).to.deep.equal(nothing);
    expect(await examined(chunked(tarEnd), "sha256")).to.include({ ...unpacked, size: 1024 });
    expect(await examined(chunked(gzipSync(tarEnd)), "sha256")).to.include({ ...unpacked, compression: "gzip" });
  });

  it("counts all that is stored, also behind the archive's end and behind the packed data", async () => {
    const behind = Buffer.concat([archive, Buffer.from("behind the end")]);
    expect(await examined(chunked(behind), "sha256")).to.include({ digest: sha256(behind), diffId: sha256(behind) });
    const garbage = Buffer.concat([packed("bzip2", archive), Buffer.from("garbage")]);
    expect(await examined(chunked(garbage), "sha256")).to.include({ digest: sha256(garbage), diffId: sha256(archive) });
    const padded = Buffer.concat([gzipSync(archive), Buffer.alloc(700)]);
    expect(await examined(chunked(padded, 1000), "sha256")).to.include({ digest: sha256(padded), diffId: sha256(archive) }); // prettier-ignore
  });

  it("takes an archive that ends with its last entry for whole, and none that ends in the padding behind it", async () => {
    const entry = tarEntry({ name: "a", content: Buffer.from("abc") });
    expect(await examined(chunked(entry), "sha256")).to.include({ diffId: sha256(entry) });
    for (const length of [515, 516, 1023]) {
      const cut = await examined(chunked(entry.subarray(0, length)), "sha256");
      expect(cut).to.have.property("problem", "the archive is cut short");
    }
  });

  it("sees damage anywhere, also where only a checksum tells, and finds the digest all the same", async () => {
    for (const compression of ["gzip", "xz", "bzip2", "zstd"] as const) {
      const layer = packed(compression, archive);
      const last = layer.length - (compression === "gzip" ? 6 : compression === "zstd" ? 2 : 4);
      for (const place of [40, Math.floor(layer.length / 2), last]) {
        const damaged = Buffer.from(layer);
        damaged[place]! ^= 0x10;
        const found = await examined(chunked(damaged, 1000), "sha256");
        expect(found, `${compression} at ${place}`).to.include({ digest: sha256(damaged), size: layer.length });
        expect(found, `${compression} at ${place}`).to.have.property("problem");
      }
    }
  });

  it("fails as its source fails", async () => {
    const broken = new Error("the disk is broken");
    for (const layer of [archive, gzipSync(archive)]) {
      const breaking = async function* (): AsyncGenerator<Uint8Array> {
        yield* chunked(layer.subarray(0, 1000));
        throw broken;
      };
      expect(await failure(examined(breaking(), "sha256"))).to.equal(broken);
    }
  });
});

describe("packing with gzip", () => {
  it("gives the same bytes always, whatever the chunks", async () => {
    const archive = sampleArchive();
    for (const size of [997, 65_536, 1_000_000]) {
      const bytes = await gathered(gzipped(chunked(archive, size)));
      expect(gunzipSync(bytes).equals(archive)).to.equal(true);
      expect(bytes.subarray(0, 10).toString("hex")).to.equal("1f8b0800000000000003");
      expect(sha256(bytes)).to.equal("sha256:4a35fed87ab12aedc923befe3dc372e7e2be9b087f73e7a1b9e9e6a1595a7ab2");
    }
  });

  it("of a layer without a byte gives Docker's archive without entries", async () => {
    const bytes = await gathered(gzipped(archiveOf(chunked(Buffer.alloc(0)))));
    expect(sha256(gunzipSync(bytes))).to.equal(dockersEmptyArchive);
    expect(sha256(bytes)).to.equal("sha256:7989bb311baa38ef545250282aa065d23281c46dfb8faabe4c653487bdbded5c");
  });

  it("takes a source of no bytes", async () => {
    expect(gunzipSync(await gathered(gzipped(chunked(Buffer.alloc(0)))))).to.have.lengthOf(0);
  });
});

/** Where the archive's entries end. */
function sampleLength(archive: Buffer): number {
  let end = archive.length;
  while (end > 0 && archive[end - 1] === 0) end--;
  return end;
}

/** Whether an entry of the archive ends after `length` bytes. */
function isBetweenEntries(archive: Buffer, length: number): boolean {
  let at = 0;
  while (at < length) {
    const size = parseInt(archive.toString("latin1", at + 124, at + 135), 8);
    const isExtension = "LKxg".includes(archive.toString("latin1", at + 156, at + 157));
    at += 512 + Math.ceil(size / 512) * 512;
    if (at === length) return !isExtension;
  }
  return length === 0;
}
