import { execFile } from "node:child_process";
import { createReadStream } from "node:fs";
import { chmod, link, mkdir, open, symlink, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect } from "chai";
import { decompressed } from "../../../../src/server/registry/layers/compression.ts";
import { fileList } from "../../../../src/server/registry/layers/file-list.ts";
import { tarsum } from "../../../../src/server/registry/layers/tarsum.ts";
import { needs } from "../../../support/needs.ts";
import { removeFolder, temporaryFolder } from "../../../support/program.ts";
import { pythonLayer } from "../../../support/python-layers.ts";
import { gathered } from "../../../support/tar-bytes.ts";

const run = promisify(execFile);
const imageJson = '{"id": "00ff", "author": "é"}';

describe("layers made by GNU tar, read as Python reads them", () => {
  let folder: string;
  let python: string;

  before(async function () {
    [python = ""] = needs(this, "python3", "tar", "mkfifo", "xz", "bzip2", "gzip");
    folder = await temporaryFolder();
    await fill(join(folder, "plain"));
    await fill(join(folder, "special"));
    await fillSpecial(join(folder, "special"));
    // Not every file system has them.
    const setAttribute = "import os, sys; os.setxattr(sys.argv[1], 'user.note', b'=\\n\\xff' * 500)";
    await run(python, ["-c", setAttribute, join(folder, "special", "block")]).catch(() => undefined);
  });

  after(async () => {
    await removeFolder(folder);
  });

  const archives: readonly (readonly [what: string, from: "plain" | "special", ...options: string[]])[] = [
    ["v7", "plain", "--format=v7"],
    ["ustar", "plain", "--format=ustar"],
    ["old GNU", "special", "--format=oldgnu"],
    ["GNU", "special", "--format=gnu"],
    ["pax", "special", "--format=posix"],
    ["pax with xattrs", "special", "--format=posix", "--xattrs", "--xattrs-include=*"],
    ["pax with a global header", "special", "--format=posix", "--pax-option=globexthdr.name=g,comment=x,uname=root"],
    ["pax, sparse as of version 0.0", "special", "--format=posix", "-S", "--sparse-version=0.0"],
    ["pax, sparse as of version 0.1", "special", "--format=posix", "-S", "--sparse-version=0.1"],
    ["pax, sparse as of version 1.0", "special", "--format=posix", "-S", "--sparse-version=1.0"],
    ["GNU, sparse", "special", "--format=gnu", "-S"],
    ["large ids", "special", "--format=gnu", "--owner=big:3000000", "--group=big:4294967294"],
    ["large ids in pax", "special", "--format=posix", "--owner=big:3000000", "--group=big:4294967294"],
    ["a time before 1970", "special", "--format=gnu", "--mtime=1950-01-02 03:04:05Z"],
    ["gzip", "special", "--format=gnu", "-z"],
    ["bzip2", "special", "--format=gnu", "-j"],
    ["xz", "special", "--format=gnu", "-J"],
  ];

  for (const [what, from, ...options] of archives) {
    it(what, async () => {
      const archive = join(folder, "layer.tar");
      await run("tar", ["--sort=name", "-C", join(folder, from), "-cf", archive, ...options, "."]);
      const expected = pythonLayer(python, archive, imageJson);
      const files = await gathered(fileList(decompressed(createReadStream(archive))));
      expect(files.toString()).to.equal(expected.files);
      expect(JSON.parse(files.toString())).to.have.length.above(8);
      // Of sparse files docker's own tar reader knew nothing: what their sums would be is nobody's rule.
      if (options.includes("-S")) return;
      const sum = await tarsum(Buffer.from(imageJson), decompressed(createReadStream(archive)));
      expect(sum).to.equal(expected.tarsum);
    });
  }
});

/** What every format can hold. */
async function fill(folder: string): Promise<void> {
  const seconds = 1_389_000_000;
  await mkdir(join(folder, "etc", "deep"), { recursive: true });
  await mkdir(join(folder, "empty"), { mode: 0o700 });
  await writeFile(join(folder, "etc", "passwd"), "root:x:0:0\n".repeat(100));
  await writeFile(join(folder, "etc", ".wh.nested"), "");
  await writeFile(join(folder, ".wh.removed"), "");
  await writeFile(join(folder, ".wh..wh.plnk"), "");
  await writeFile(join(folder, "nothing"), "");
  await writeFile(join(folder, "block"), Buffer.alloc(512, 7));
  await writeFile(join(folder, "setuid"), "#!/bin/sh\n");
  await chmod(join(folder, "setuid"), 0o4755);
  await link(join(folder, "etc", "passwd"), join(folder, "hard-link"));
  await symlink("/etc/passwd", join(folder, "soft-link"));
  await utimes(join(folder, "block"), seconds, seconds);
  await utimes(join(folder, "nothing"), seconds, seconds + 0.25);
}

/** What only some can: long names, foreign names, fractions of seconds, holes, pipes. */
async function fillSpecial(folder: string): Promise<void> {
  const deep = join(folder, ...["a", "b", "c"].map((letter) => letter.repeat(90)));
  await mkdir(deep, { recursive: true });
  await writeFile(join(deep, "é".repeat(60)), "long");
  await symlink(`/${"target/".repeat(40)}`, join(folder, "long-link"));
  await writeFile(join(folder, 'naïve 🐳 "quoted" \\ \u007f'), "whale");
  await writeFile(Buffer.concat([Buffer.from(`${folder}/latin1-`), Buffer.from([0xe9, 0xc3, 0x28, 0xf0, 0x9f])]), "");
  await writeFile(join(folder, "new\nline\ttab"), "");
  await run("mkfifo", [join(folder, "pipe")]);
  await run("setfattr", ["-n", "user.note", "-v", "x".repeat(500), join(folder, "etc", "passwd")]).catch(
    () => undefined,
  );
  const holes = await open(join(folder, "holes"), "w");
  for (let i = 1; i <= 40; i++) await holes.write(Buffer.alloc(4096, i), 0, 4096, i * 1_000_000);
  await holes.truncate(50_000_000);
  await holes.close();
}
