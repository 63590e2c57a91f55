import { expect } from "chai";
import { RegistryError } from "../../../../src/server/errors.ts";
import { fileList } from "../../../../src/server/registry/layers/file-list.ts";
import { seededRandom } from "../../../support/random.ts";
import {
  chunked,
  failure,
  gathered,
  paxHeader,
  sign,
  tarEnd,
  tarEntry,
  tarOf,
  type TarFields,
} from "../../../support/tar-bytes.ts";

async function listed(archive: Buffer, chunk = 1000): Promise<string> {
  return (await gathered(fileList(chunked(archive, chunk)))).toString();
}

/** GNU's way to write a number that has no room: base 256, in a field of so many bytes. */
function base256(value: bigint, length: number): Buffer {
  const hex = BigInt.asUintN(length * 8, value | (value >= 0n ? 1n << BigInt(length * 8 - 1) : 0n)).toString(16);
  return Buffer.from(hex.padStart(length * 2, "0"), "hex");
}

describe("the file list of a layer", () => {
  const time = 1_389_000_000;
  const cases: readonly (readonly [what: string, entries: readonly (TarFields | Buffer)[], rows: string])[] = [
    ["nothing", [], "[]"],
    ["a file", [{ name: "./a", content: Buffer.from("abc") }], `[["/a", "f", false, 3, ${time}, 420, 0, 0]]`],
    ["the top folder as .", [{ name: ".", type: "5", mode: 0o755 }], `[["/", "d", false, 0, ${time}, 493, 0, 0]]`],
    ["the top folder as ./", [{ name: "./", type: "5", mode: 0o755 }], `[["/", "d", false, 0, ${time}, 493, 0, 0]]`],
    ["a folder", [{ name: "./etc/", type: "5", mode: 0o755 }], `[["/etc", "d", false, 0, ${time}, 493, 0, 0]]`],
    ["a name without ./", [{ name: "bin/x" }], `[["bin/x", "f", false, 0, ${time}, 420, 0, 0]]`],
    ["a name that begins with a dot", [{ name: ".profile" }], `[[".profile", "f", false, 0, ${time}, 420, 0, 0]]`],
    ["an absolute name", [{ name: "/bin/x" }], `[["/bin/x", "f", false, 0, ${time}, 420, 0, 0]]`],
    ["a whiteout", [{ name: "./.wh.gone" }], `[["/gone", "f", true, 0, ${time}, 420, 0, 0]]`],
    ["a whiteout below", [{ name: "./bin/.wh.a" }], `[["/bin/.wh.a", "f", false, 0, ${time}, 420, 0, 0]]`],
    ["a whiteout without ./", [{ name: ".wh.a" }], `[[".wh.a", "f", false, 0, ${time}, 420, 0, 0]]`],
    ["what aufs keeps", [{ name: "./.wh..wh.aufs" }, { name: "./.wh..wh.plnk/", type: "5" }], "[]"],
    [
      "two files",
      [{ name: "./a" }, { name: "./b", uid: 5, gid: 6 }],
      `[["/a", "f", false, 0, ${time}, 420, 0, 0], ["/b", "f", false, 0, ${time}, 420, 5, 6]]`,
    ],
    [
      "a name of an unknown encoding",
      [{ name: Buffer.from([0x61, 0xe9, 0xc3]) }],
      `[["a\\udce9\\udcc3", "f", false, 0, ${time}, 420, 0, 0]]`,
    ],
    [
      "a name beyond ASCII",
      [{ name: 'é🐳\u007f"\\' }],
      `[["\\u00e9\\ud83d\\udc33\\u007f\\"\\\\", "f", false, 0, ${time}, 420, 0, 0]]`,
    ],
    ["a file of V7", [{ name: "a", type: "\0", format: "v7" }], `[["a", "f", false, 0, ${time}, 420, 0, 0]]`],
    ["a folder of V7", [{ name: "a/", type: "\0", format: "v7" }], `[["a", "d", false, 0, ${time}, 420, 0, 0]]`],
    ["a prefix", [{ name: "a", prefix: "long/way" }], `[["long/way/a", "f", false, 0, ${time}, 420, 0, 0]]`],
    [
      "a file of more than 8 GiB, cut off",
      [{ name: "a", type: "5", size: base256(9_000_000_000n, 12) }],
      `[["a", "d", false, 9000000000, ${time}, 420, 0, 0]]`,
    ],
    [
      "GNU's large and negative numbers",
      [{ name: "a", uid: base256(4_294_967_295n, 8), gid: base256(-2n, 8), mtime: base256(-631_152_000n, 12) }],
      '[["a", "f", false, 0, -631152000, 420, 4294967295, -2]]',
    ],
    [
      "GNU's times in the place of a prefix",
      [{ name: "a", format: "gnu", prefix: "12345670123" }],
      `[["a", "f", false, 0, ${time}, 420, 0, 0]]`,
    ],
    [
      "GNU's long names",
      [
        { name: "././@LongLink", type: "L", content: Buffer.from(`./${"n".repeat(200)}\0`) },
        { name: "././@LongLink", type: "K", content: Buffer.from(`${"l".repeat(700)}\0`) },
        { name: "short", type: "2" },
        { name: "after" },
      ],
      `[["/${"n".repeat(200)}", "s", false, 0, ${time}, 420, 0, 0], ["after", "f", false, 0, ${time}, 420, 0, 0]]`,
    ],
    [
      "a pax header",
      [
        paxHeader({ path: "./é/x", mtime: "1389000000.123456789", uid: "3000000", gid: "4000000", size: "3" }),
        { name: "short", size: 0, content: Buffer.from("abc") },
        { name: "after" },
      ],
      `[["/\\u00e9/x", "f", false, 3, 1389000000.1234567, 420, 3000000, 4000000], ["after", "f", false, 0, ${time}, 420, 0, 0]]`,
    ],
    [
      "whole seconds and odd values in a pax header",
      [paxHeader({ mtime: "12", uid: "many" }), { name: "a", uid: 7 }],
      '[["a", "f", false, 0, 12.0, 420, 0, 0]]',
    ],
    [
      "a global pax header, overridden and taken back",
      [
        paxHeader({ uid: "77", gid: "88" }, "g"),
        { name: "a" },
        paxHeader({ uid: "1", gid: "" }),
        { name: "b" },
        { name: "c" },
      ],
      ["a", "b", "c"]
        .map((name, i) => `["${name}", "f", false, 0, ${time}, 420, ${[77, 1, 77][i]!}, ${[88, 0, 88][i]!}]`)
        .join(", ")
        .replace(/.*/s, "[$&]"),
    ],
    [
      "xattrs",
      [
        paxHeader({
          "SCHILY.xattr.user.a": Buffer.from("=\n\xff 12 x=y\n", "latin1"),
          "SCHILY.xattr.security.capability": Buffer.from([1, 0, 0, 2, 0, 10]),
        }),
        { name: "./a", content: Buffer.from("a") },
      ],
      `[["/a", "f", false, 1, ${time}, 420, 0, 0]]`,
    ],
    [
      "an unknown type, whose content is passed over",
      [{ name: "a", type: "Z", content: Buffer.alloc(700, 65) }, { name: "b" }],
      `[["a", "u", false, 700, ${time}, 420, 0, 0], ["b", "f", false, 0, ${time}, 420, 0, 0]]`,
    ],
    [
      "a hard link that tells its target's size",
      [{ name: "a", type: "1", linkname: "b", size: 700 }, { name: "b" }],
      `[["a", "l", false, 700, ${time}, 420, 0, 0], ["b", "f", false, 0, ${time}, 420, 0, 0]]`,
    ],
  ];

  for (const [what, entries, rows] of cases) {
    it(`of ${what}`, async () => {
      for (const size of [1, 300, 100_000]) expect(await listed(tarOf(...entries), size)).to.equal(rows);
    });
  }

  it("has a letter for each type", async () => {
    const entries = Array.from("01234567ASV").map((type) => ({ name: "x", type }));
    const rows = JSON.parse(await listed(tarOf(...entries))) as string[][];
    expect(rows.map((row) => row[1]).join("")).to.equal("flscbdituSu");
  });

  it("is empty for no bytes at all, and ends with the first empty block", async () => {
    expect(await listed(Buffer.alloc(0))).to.equal("[]");
    expect(await listed(Buffer.concat([tarOf(), Buffer.from("anything")]))).to.equal("[]");
    expect(await listed(tarEntry({ name: "no end" }))).to.contain("no end");
  });

  it("says the size of a file of GNU's old sparse format and passes over its map", async () => {
    const header = tarEntry({ name: "holes", type: "S", format: "gnu", size: 1024 });
    header[482] = 1;
    header.write("00000100000\0", 483, "latin1");
    sign(header);
    const [more, last] = [Buffer.alloc(512, "1"), Buffer.alloc(512, "1")];
    more[504] = 1;
    last[504] = 0;
    const archive = tarOf(header, more, last, Buffer.alloc(1024, 65), { name: "after" });
    expect(await listed(archive)).to.match(/^\[\["holes", "S", false, 32768, .*\], \["after", "f"/);
  });

  const extension = (size: number): Buffer => tarEntry({ name: "x", type: "x", size });
  const refused: readonly (readonly [what: string, archive: Buffer])[] = [
    ["text", Buffer.from("this is not a layer\n".repeat(100))],
    ["less than a block", Buffer.from("short")],
    ["a wrong checksum", tarOf({ name: "a" }).fill(1, 5, 6)],
    ["a wrong checksum further on", Buffer.concat([tarEntry({ name: "a" }), Buffer.alloc(512, 3)])],
    ["a content that is cut short", tarEntry({ name: "a", content: Buffer.alloc(5000) }).subarray(0, 2000)],
    ["a header that is cut short", tarOf({ name: "a" }, { name: "b" }).subarray(0, 700)],
    ["a pax header without an entry", Buffer.concat([paxHeader({ path: "x" }), tarEnd])],
    ["a pax header that is cut short", paxHeader({ path: "x" }).subarray(0, 512)],
    ["a pax header that is none", tarOf({ name: "x", type: "x", content: Buffer.from("not a record") })],
    ["a pax record longer than its header", tarOf({ name: "x", type: "x", content: Buffer.from("99 path=a\n") })],
    ["a pax header without an end", tarOf(extension(2 ** 30))],
    ["a negative size", tarOf({ name: "a", size: base256(-5n, 12) })],
    ["a size beyond all numbers", tarOf({ name: "a", size: base256(2n ** 80n, 12) })],
    ["a size that is no number", tarOf({ name: "a", size: Buffer.from("12x45678901\0") })],
    [
      "a sparse map without an end",
      (() => {
        const header = tarEntry({ name: "a", type: "S", format: "gnu" });
        header[482] = 1;
        sign(header);
        return header;
      })(),
    ],
  ];

  for (const [what, archive] of refused) {
    it(`is refused for ${what}`, async () => {
      const error = await failure(fileList(chunked(archive)));
      expect(error).to.be.instanceOf(RegistryError).with.property("code", "LAYER_UNSUPPORTED");
    });
  }

  it("is a list or a refusal for any damaged archive", async function () {
    const random = seededRandom(this);
    const whole = tarOf(
      paxHeader({ path: "p".repeat(300), size: "3", mtime: "1.5" }),
      { name: "a", content: Buffer.from("abc") },
      { name: "././@LongLink", type: "L", content: Buffer.alloc(300, "l") },
      { name: "b", type: "S", format: "gnu", content: Buffer.alloc(600) },
    );
    for (let i = 0; i < 2000; i++) {
      const damaged = Buffer.from(whole.subarray(0, random(4) === 0 ? random(whole.length) : whole.length));
      const block = random(Math.max(1, Math.floor(damaged.length / 512))) * 512;
      for (let j = 0; j <= random(4); j++) damaged[block + random(512)] = random(256);
      if (block + 512 <= damaged.length && random(3) > 0) sign(damaged.subarray(block));
      try {
        JSON.parse(await listed(damaged));
      } catch (error) {
        expect(error).to.have.property("code", "LAYER_UNSUPPORTED");
      }
    }
  });
});
