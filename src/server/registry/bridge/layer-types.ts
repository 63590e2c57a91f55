import type { Compression } from "../layers/compression.ts";

/** Media types of the OCI image format for layers that every client unpacks (OCI image 1.0, layer). */
export const ociLayerTypes = {
  none: "application/vnd.oci.image.layer.v1.tar",
  gzip: "application/vnd.oci.image.layer.v1.tar+gzip",
} as const satisfies Partial<Record<Compression, string>>;

const packings = { "": "none", gzip: "gzip", xz: "xz", bzip2: "bzip2", zstd: "zstd" } as const;
const layerForms = [
  /^application\/vnd\.oci\.image\.layer\.v1\.tar(?:\+(gzip|xz|bzip2|zstd))?$/,
  /^application\/vnd\.docker\.image\.rootfs\.diff\.tar(?:\.(gzip|xz|bzip2|zstd))?$/,
];

/** How a layer of the media type is packed; undefined when it is no layer that anybody may read here. */
export function layerCompression(mediaType: string): Compression | undefined {
  const match = layerForms.map((form) => form.exec(mediaType)).find((found) => found !== null);
  return match && packings[(match[1] ?? "") as keyof typeof packings];
}

/** Why a layer whose media type `layerCompression` does not know cannot be read; the end of a sentence. */
export function layerProblem(mediaType: string): string {
  if (mediaType.endsWith("+encrypted")) return "is encrypted";
  if (/\b(?:foreign|nondistributable)\b/.test(mediaType)) return "may not be distributed, and is kept elsewhere";
  return mediaType === "" ? "has no media type" : `is ${mediaType}, which is no layer of an image`;
}
