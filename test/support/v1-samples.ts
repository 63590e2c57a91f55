import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createGzip, gzipSync } from "node:zlib";
import { Readable } from "node:stream";
import { findProgram } from "./needs.ts";
import { paxHeader, tarEnd, tarEntry, tarOf } from "./tar-bytes.ts";
import type { V1Image } from "./v1-client.ts";
import { describedImage, imageOf } from "./v1-images.ts";

/** An image as a daemon of 2014 may have it: what V1 clients push, and the unpacked archives of its layers. */
export interface V1Sample {
  readonly name: string;
  /** Base first; some may have Docker's empty layer. */
  readonly chain: readonly V1Image[];
  readonly archives: readonly (() => AsyncIterable<Uint8Array>)[];
  /** What a container of it prints. */
  readonly prints: string;
}

/** One step of a sample's chain. */
interface Step {
  readonly archive: Buffer;
  readonly pack?: (archive: Buffer) => Buffer;
  readonly extra?: Readonly<Record<string, unknown>>;
}

const greeting = "hello from 2014";
const path = "PATH=/bin";
const moment = 1_400_000_000;

/** Static busybox in one layer. */
export function oneLayer(): V1Sample {
  return sample("one", greeting, [
    {
      archive: base(),
      pack: gzip,
      extra: runs(["/bin/busybox", "cat", "/greeting"], "café Łódź 東京 <curator@example.org>"),
    },
  ]);
}

/** Five layers in as many forms: gzip, a plain archive, xz, bzip2, and one that deletes. Needs xz and bzip2. */
export function fiveLayers(): V1Sample {
  return sample("five", `${greeting}\nnew`, [
    { archive: base(), pack: gzip },
    { archive: everything() },
    { archive: tarOf(folder("by-xz"), file("by-xz/file", "of xz")), pack: (archive) => packed("xz", archive) },
    {
      archive: tarOf(folder("by-bzip2"), file("by-bzip2/file", "of bzip2")),
      pack: (archive) => packed("bzip2", archive),
    },
    { archive: deletions(), pack: gzip, extra: runs(["/bin/busybox", "cat", "/greeting", "/opaque/new"], "Åsa Öberg") },
  ]);
}

/** Forty layers, which change one file over and over and add others. */
export function fortyLayers(): V1Sample {
  const layers = Array.from({ length: 39 }, (_, index): Step => {
    const own = file(`files/${index}`, `file ${index}`);
    return {
      archive: tarOf(folder("files"), own, file("files/last", `${index}`)),
      pack: index % 2 === 0 ? gzip : asItIs,
    };
  });
  const top = runs(["/bin/busybox", "cat", "/files/last"]);
  return sample("forty", "38", [
    { archive: base(), pack: gzip },
    ...layers.map((step, index) => (index === 38 ? { ...step, extra: top } : step)),
  ]);
}

/** One layer with content below three that only change the configuration, and one more with content on top. */
export function instructions(): V1Sample {
  const config = (more: object) => ({ config: { Env: [path], ...more }, container_config: { Env: [path], ...more } });
  return sample("instructions", "given", [
    { archive: base(), pack: gzip },
    { archive: Buffer.alloc(1024), extra: config({ Cmd: ["/bin/sh", "-c", "#(nop) ENV GIVEN=given"] }) },
    { archive: Buffer.alloc(1024), extra: config({ Cmd: ["/bin/sh", "-c", "#(nop) EXPOSE 80"] }) },
    { archive: tarOf(file("more", "more")), pack: gzip },
    {
      archive: Buffer.alloc(1024),
      extra: {
        config: {
          Env: [path, "GIVEN=given"],
          Entrypoint: ["/bin/sh", "-c"],
          Cmd: ["echo $GIVEN"],
          ExposedPorts: { "80/tcp": {} },
        },
        container_config: { Env: [path], Cmd: ["/bin/sh", "-c", '#(nop) CMD ["echo $GIVEN"]'] },
      },
    },
  ]);
}

/** A layer of `size` bytes on top of busybox, made while it is read: it packs well, and is different everywhere. */
export function largeLayer(size: number): V1Sample {
  const below = base();
  const bottom = imageOf(gzip(below));
  const step = 1 << 20;
  const archive = async function* (): AsyncGenerator<Uint8Array> {
    yield tarEntry({ name: "large", size });
    for (let at = 0; at < size; at += step) {
      yield await Promise.resolve(Buffer.alloc(Math.min(step, size - at), `from ${at} on `));
    }
    yield Buffer.alloc((512 - (size % 512)) % 512);
    yield tarEnd;
  };
  const hash = createHash("sha256");
  for (let at = 0; at < size; at += step) hash.update(Buffer.alloc(Math.min(step, size - at), `from ${at} on `));
  const id = createHash("sha256").update(`large ${size}`).digest("hex");
  const layer = (): AsyncIterable<Uint8Array> => Readable.from(archive()).pipe(createGzip({ level: 1 }));
  const top = describedImage(id, size, layer, bottom, runs(["/bin/busybox", "sha256sum", "/large"]));
  return {
    name: "large",
    chain: [bottom, top],
    archives: [of(below), archive],
    prints: `${hash.digest("hex")}  /large`,
  };
}

function sample(name: string, prints: string, steps: readonly Step[]): V1Sample {
  const chain: V1Image[] = [];
  for (const { archive, pack = asItIs, extra = {} } of steps) {
    chain.push(imageOf(pack(archive), chain.at(-1), extra));
  }
  return { name, chain, archives: steps.map(({ archive }) => of(archive)), prints };
}

/** What the JSON says of how to run an image, and who made it. */
function runs(command: readonly string[], author = "nobody"): Readonly<Record<string, unknown>> {
  const config = { Cmd: command, Env: [path] };
  return {
    author,
    config,
    container_config: { ...config, Cmd: ["/bin/sh", "-c", `#(nop) CMD ${JSON.stringify(command)}`] },
  };
}

function base(): Buffer {
  const busybox = readFileSync(findProgram("busybox") ?? "busybox");
  return tarOf(
    folder("./"),
    folder("./bin"),
    tarEntry({ name: "./bin/busybox", mode: 0o755, mtime: moment, content: busybox }),
    tarEntry({ name: "./bin/sh", type: "2", mode: 0o777, mtime: moment, linkname: "busybox" }),
    file("./greeting", `${greeting}\n`),
    folder("./kept"),
    file("./kept/removed", "not for long"),
    file("./kept/kept", "for long"),
    folder("./gone"),
    file("./gone/file", "goes with its folder"),
    folder("./opaque"),
    file("./opaque/old", "hidden"),
    folder("./opaque/below"),
    file("./opaque/below/old", "hidden too"),
    file("./becomes-a-folder", "a file still"),
  );
}

/** What an archive can have: modes, owners, times, links, attributes, devices, long names and names in UTF-8. */
function everything(): Buffer {
  const long = `all/${"deep/".repeat(30)}`;
  const capability = Buffer.from("0100000200040000000000000000000000000000", "hex");
  const folders = Array.from({ length: 30 }, (_, index) => [
    paxHeader({ path: `all/${"deep/".repeat(index + 1)}` }),
    folder("all/shortened"),
  ]);
  return tarOf(
    folder("all"),
    ...folders.flat(),
    paxHeader({ path: `${long}file`, "SCHILY.xattr.user.note": "a note, é", mtime: `${moment}.25` }),
    tarEntry({ name: "shortened", mode: 0o4755, uid: 12, gid: 34, mtime: moment, content: Buffer.from("setuid") }),
    paxHeader({ "SCHILY.xattr.security.capability": capability }),
    tarEntry({ name: "all/capable", mode: 0o755, mtime: 1, content: Buffer.from("capable") }),
    tarEntry({
      name: "all/linked",
      mode: 0o640,
      uid: 1000,
      gid: 1000,
      mtime: moment + 1,
      content: Buffer.from("twice"),
    }),
    tarEntry({
      name: "all/again",
      type: "1",
      mode: 0o640,
      uid: 1000,
      gid: 1000,
      mtime: moment + 1,
      linkname: "all/linked",
    }),
    tarEntry({ name: "all/kept", type: "1", mode: 0o644, mtime: moment, linkname: "kept/kept" }),
    tarEntry({ name: "all/absolute", type: "2", uid: 5, gid: 6, mtime: moment + 2, linkname: "/nowhere/at all" }),
    tarEntry({ name: "all/sticky", type: "5", mode: 0o1777, mtime: moment + 3 }),
    tarEntry({ name: "all/setgid", type: "5", mode: 0o2750, gid: 50, mtime: moment + 4 }),
    tarEntry({ name: "all/null", type: "3", mode: 0o666, mtime: moment, devmajor: 1, devminor: 3 }),
    tarEntry({ name: "all/pipe", type: "6", mode: 0o600, mtime: moment }),
    tarEntry({ name: "all/grüße", mtime: moment, content: Buffer.from("é") }),
    tarEntry({ name: "all/empty", mtime: 0 }),
    tarEntry({ name: "all/unreadable", mode: 0, uid: 70_000, mtime: moment, content: Buffer.from("no") }),
  );
}

function deletions(): Buffer {
  return tarOf(
    folder("kept"),
    file("kept/.wh.removed", ""),
    file(".wh.gone", ""),
    folder("opaque"),
    file("opaque/.wh..wh..opq", ""),
    file("opaque/new", "new"),
    folder("becomes-a-folder"),
    file("becomes-a-folder/file", "in it"),
  );
}

function folder(name: string): Buffer {
  return tarEntry({ name: name.endsWith("/") ? name : `${name}/`, type: "5", mode: 0o755, mtime: moment });
}

function file(name: string, content: string): Buffer {
  return tarEntry({ name, mtime: moment, content: Buffer.from(content) });
}

function of(archive: Buffer): () => AsyncIterable<Uint8Array> {
  return () => Readable.from([archive]);
}

function asItIs(archive: Buffer): Buffer {
  return archive;
}

function gzip(archive: Buffer): Buffer {
  return gzipSync(archive, { level: 1 });
}

function packed(packer: "xz" | "bzip2", archive: Buffer): Buffer {
  return execFileSync(packer, ["-c"], { input: archive });
}
