import { digestOf, type Descriptor, type Digest } from "../digest.ts";
import type { Compression } from "../layers/compression.ts";

/** The bytes of docker's layer without entries: the two blocks of zeros that end an archive. */
export const emptyTar: Uint8Array = new Uint8Array(1024);

/** The layer of V1 images that change no file. */
export const emptyLayer = {
  mediaType: "application/vnd.docker.image.rootfs.diff.tar",
  digest: digestOf(emptyTar),
  size: emptyTar.length,
  compression: "none",
} as const satisfies Descriptor & { readonly compression: Compression };

/** Some V1 clients pushed no byte at all, which today's take for a damaged archive. */
const noBytes = digestOf(new Uint8Array());

/** Whether a layer with this diff id changes no file: it is docker's empty archive, or nothing. */
export function isEmptyTar(diffId: Digest): boolean {
  return diffId === emptyLayer.digest || diffId === noBytes;
}
