import { digestOf, type Digest } from "../../src/server/registry/digest.ts";
import { parseImageId } from "../../src/server/registry/names.ts";
import type { V1ImageSource } from "../../src/server/registry/bridge/oci-image.ts";
import type { Random } from "./random.ts";

export const plainTar = "application/vnd.docker.image.rootfs.diff.tar";
export const gzippedTar = "application/vnd.docker.image.rootfs.diff.tar.gzip";
export const configType = "application/vnd.oci.image.config.v1+json";

/** Docker's empty layer, as the conversions are told of it. */
export const emptyLayerSource = plainLayer(Buffer.alloc(1024));

/** A layer of these bytes, not packed. */
export function plainLayer(bytes: Uint8Array): V1ImageSource["layer"] {
  return { digest: digestOf(bytes), size: bytes.length, mediaType: plainTar, diffId: digestOf(bytes) };
}

/** A gzipped layer that only its digests are known of. */
export function gzippedLayer(content: string): V1ImageSource["layer"] {
  const digest = sampleDigest(`${content}, packed`);
  return { digest, size: 100 + content.length, mediaType: gzippedTar, diffId: sampleDigest(content) };
}

/** The id of the nth image of a chain that a test makes up. */
export function sampleId(index: number): string {
  return digestOf(Buffer.from(`image ${index}`)).slice("sha256:".length);
}

/** A chain of images whose JSON documents (objects or texts) get ids and parents; base first. */
export function v1Chain(
  ...images: readonly (readonly [document: object | string, layer: V1ImageSource["layer"]])[]
): readonly V1ImageSource[] {
  return images.map(([document, layer], index) => {
    const place = { id: sampleId(index), ...(index > 0 && { parent: sampleId(index - 1) }) };
    const json = typeof document === "string" ? document : JSON.stringify({ ...place, ...document });
    return { id: parseImageId(sampleId(index)), json: Buffer.from(json), layer };
  });
}

/** A value of any type that JSON has, seldom what belongs at its place. */
export function randomValue(random: Random, depth = 2): unknown {
  const scalars = [
    null,
    true,
    false,
    0,
    -1,
    1.5,
    2 ** 40,
    "",
    "é \u2028 \ud83d\ude00",
    "2014-06-01T10:00:00Z",
    "x".repeat(20),
  ];
  if (depth === 0 || random(3) > 0) return scalars[random(scalars.length)];
  if (random(2) === 0) return Array.from({ length: random(4) }, () => randomValue(random, depth - 1));
  const keys = ["Cmd", "Env", "80/tcp", "a", "__proto__", "constructor"];
  const entries = Array.from({ length: random(4) }, () => [keys[random(keys.length)], randomValue(random, depth - 1)]);
  return Object.fromEntries(entries) as unknown;
}

/** A configuration of containers in which every known field is there or not, and of its own type mostly. */
export function randomRunConfig(random: Random): unknown {
  if (random(8) === 0) return randomValue(random);
  const fields: Readonly<Record<string, unknown>> = {
    Hostname: "abc",
    Memory: 512,
    Tty: false,
    Env: ["PATH=/bin", "NAME=é"],
    Cmd: random(2) === 0 ? ["/bin/sh", "-c", "echo hé"] : "/bin/sh",
    Entrypoint: null,
    ExposedPorts: { "80/tcp": {} },
    Volumes: { "/data": {} },
    WorkingDir: "/",
    Labels: { a: "b" },
    Unheard: { of: [1] },
  };
  const entries = Object.entries(fields).flatMap(([key, value]) => {
    const drawn = random(6);
    return drawn === 0 ? [] : [[key, drawn === 1 ? randomValue(random) : value]];
  });
  return Object.fromEntries(entries) as unknown;
}

/** The fields that V1 JSON and OCI configs share, each there or not, and of its own type mostly. */
export function randomDocument(random: Random): Readonly<Record<string, unknown>> {
  const fields: Readonly<Record<string, unknown>> = {
    created: ["2014-06-01T10:00:00.123456789Z", "2013-03-23T22:24:18.818426-07:00", "2013-03-23 22:24:18", 1400000000][
      random(4)
    ],
    author: "kurator é",
    comment: "imported",
    container: "122c597083bd",
    docker_version: "0.9.1",
    architecture: ["amd64", "x86_64", "arm64"][random(3)],
    os: "linux",
    config: randomRunConfig(random),
    container_config: randomRunConfig(random),
    Size: 123,
    unheard: "of",
  };
  const entries = Object.entries(fields).flatMap(([key, value]) => {
    const drawn = random(8);
    return drawn === 0 ? [] : [[key, drawn === 1 ? randomValue(random) : value]];
  });
  return Object.fromEntries(entries) as Readonly<Record<string, unknown>>;
}

/** A V1 chain of one to eight images, some of them without content. */
export function randomChain(random: Random): readonly V1ImageSource[] {
  const layer = (index: number) => {
    const kinds = [emptyLayerSource, plainLayer(Buffer.alloc(0)), plainLayer(Buffer.from(`plain ${index}`))];
    return kinds[random(6)] ?? gzippedLayer(`layer ${random(4)}`);
  };
  return v1Chain(
    ...Array.from({ length: 1 + random(8) }, (_, index) => [randomDocument(random), layer(index)] as const),
  );
}

/** A digest of some text. */
export function sampleDigest(text: string): Digest {
  return digestOf(Buffer.from(text));
}
