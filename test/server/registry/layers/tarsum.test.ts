import { createHash } from "node:crypto";
import { expect } from "chai";
import { tarsum } from "../../../../src/server/registry/layers/tarsum.ts";
import { seededRandom } from "../../../support/random.ts";
import { chunked, failure, paxHeader, tarOf, type TarFields } from "../../../support/tar-bytes.ts";

const json = Buffer.from('{"id": "00ff"}');

async function sumOf(...entries: readonly (TarFields | Buffer)[]): Promise<string> {
  return await tarsum(json, chunked(tarOf(...entries), 700));
}

/** The rule itself: what is summed up for each entry is written out here. */
function expected(...texts: readonly string[]): string {
  const hash = (text: string): string => createHash("sha256").update(text, "latin1").digest("hex");
  return `tarsum+sha256:${createHash("sha256").update(json).update(texts.map(hash).sort().join("")).digest("hex")}`;
}

describe("tarsum", () => {
  const file: TarFields = {
    name: "./etc/motd",
    mode: 0o640,
    uid: 1000,
    gid: 50,
    mtime: 1_400_000_000,
    uname: "me",
    gname: "staff",
    content: Buffer.from("hello\n"),
  };
  const fileText =
    "name./etc/motdmode416uid1000gid50size6mtime1400000000typeflag0linknameunamemegnamestaffdevmajor0devminor0hello\n";

  const cases: readonly (readonly [
    what: string,
    entries: readonly (TarFields | Buffer)[],
    texts: readonly string[],
  ])[] = [
    ["no entries", [], []],
    ["a file", [file], [fileText]],
    [
      "a folder, whose name ends in a slash",
      [{ name: "./etc/", type: "5", mode: 0o755 }],
      ["name./etc/mode493uid0gid0size0mtime1389000000typeflag5linknameunamegnamedevmajor0devminor0"],
    ],
    [
      "a link",
      [{ name: "l", type: "2", mode: 0o777, linkname: "/etc/é" }],
      [
        `namelmode511uid0gid0size0mtime1389000000typeflag2linkname/etc/${Buffer.from("é").toString("latin1")}` +
          "unamegnamedevmajor0devminor0",
      ],
    ],
    [
      "a device",
      [{ name: "d", type: "3", devmajor: 8, devminor: 17 }],
      ["namedmode420uid0gid0size0mtime1389000000typeflag3linknameunamegnamedevmajor8devminor17"],
    ],
    [
      "a name of an unknown encoding",
      [{ name: Buffer.from([0xe9, 0xff]) }],
      ["name\xe9\xffmode420uid0gid0size0mtime1389000000typeflag0linknameunamegnamedevmajor0devminor0"],
    ],
    [
      "what a pax header says, its time in whole seconds",
      [paxHeader({ path: "longer", uid: "3000000", mtime: "1400000000.75" }), { name: "x" }],
      ["namelongermode420uid3000000gid0size0mtime1400000000typeflag0linknameunamegnamedevmajor0devminor0"],
    ],
    ["two equal entries", [file, file], [fileText, fileText]],
  ];

  for (const [what, entries, texts] of cases) {
    it(`of ${what}`, async () => {
      expect(await sumOf(...entries)).to.equal(expected(...texts));
    });
  }

  it("is this one, whatever becomes of the code", async () => {
    // printf '%s' "$fileText" | sha256sum; printf '%s' "$json$sum" | sha256sum
    expect(await sumOf(file)).to.equal(
      "tarsum+sha256:cc3c3a165fe92800e7ae594fb1038c05cb7382a1ae7543d920cc95332d41fb56",
    );
  });

  it("does not depend on the order of entries", async function () {
    const random = seededRandom(this);
    const entries = Array.from({ length: 3000 }, (_, i) => ({ name: `f${i}`, mtime: random(2 ** 31) }));
    const shuffled = entries.toSorted(() => random(3) - 1);
    const texts = entries.map(
      ({ name, mtime }) => `name${name}mode420uid0gid0size0mtime${mtime}typeflag0linknameunamegnamedevmajor0devminor0`,
    );
    expect(await sumOf(...shuffled)).to.equal(expected(...texts));
  });

  it("is refused for what is no archive", async () => {
    expect(await failure(tarsum(json, chunked(Buffer.alloc(2000, 1))))).to.have.property("code", "LAYER_UNSUPPORTED");
  });
});
