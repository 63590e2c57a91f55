import { RegistryError } from "../errors.ts";
import { parseDigest, type Descriptor, type Digest } from "./digest.ts";
import { isObject, parseJson } from "./documents.ts";

type JsonObject = Readonly<Record<string, unknown>>;

/** What the registry acts on in a manifest; the bytes are kept as they were pushed. */
export interface Manifest {
  readonly mediaType: string;
  /** Blobs that the repository must have: config, layers, blobs; without those that are fetched from elsewhere. */
  readonly blobs: readonly Digest[];
  /** Manifests that the repository must have: those of an index. */
  readonly manifests: readonly Digest[];
  /** The manifest that this one is about; need not exist. */
  readonly subject: Digest | undefined;
  /** What kind of artifact it is, for whoever asks for the referrers of its subject. */
  readonly artifactType: string | undefined;
  readonly annotations: Readonly<Record<string, unknown>> | undefined;
}

/** A manifest as the referrers of its subject are listed (OCI image 1.1, descriptor). */
export interface Referrer extends Descriptor {
  readonly artifactType?: string;
  readonly annotations?: Readonly<Record<string, unknown>>;
}

export const ociManifest = "application/vnd.oci.image.manifest.v1+json";
export const ociIndex = "application/vnd.oci.image.index.v1+json";

/** The types whose manifests say `schemaVersion: 2`: those of OCI image 1.1, and of Docker, schema 2. */
const ofSchema2: ReadonlySet<string> = new Set([
  ociManifest,
  ociIndex,
  "application/vnd.docker.distribution.manifest.v2+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
]);
const unsignedSchema1 = "application/vnd.docker.distribution.manifest.v1+json";
/** RFC 6838, 4.2: what is none can't be told to clients, whom a header tells it. */
const mediaTypeForm = /^[a-z\d][\w!#$&^.+-]{0,126}\/[a-z\d][\w!#$&^.+-]{0,126}$/i;
const schema1 = /^application\/vnd\.docker\.distribution\.manifest\.v1\+(json|prettyjws)$/;

/**
 * Parses a manifest of the store. Another registry may have taken one of schema 1: it keeps what was signed, without the
 * signatures.
 */
export function parseStoredManifest(bytes: Uint8Array): Manifest {
  const value = parseJson(bytes);
  if (!isObject(value) || value["schemaVersion"] !== 1) return parseManifest(bytes);
  const none = { subject: undefined, artifactType: undefined, annotations: undefined };
  return { mediaType: unsignedSchema1, blobs: [], manifests: [], ...none };
}

/** As `parseStoredManifest`, but undefined for what is no manifest: power cuts leave empty files of other registries. */
export function readableManifest(bytes: Uint8Array): Manifest | undefined {
  try {
    return parseStoredManifest(bytes);
  } catch (error) {
    if (error instanceof RegistryError && error.code === "MANIFEST_INVALID") return undefined;
    throw error;
  }
}

/**
 * Parses a manifest that a client pushes. Rejects with MANIFEST_INVALID as `parseManifest` does, and where no client could
 * read it as what it was sent: the store keeps bytes alone, so they have to say themselves what they are.
 */
export function parsePushedManifest(bytes: Uint8Array, contentType: string | undefined): Manifest {
  const value = objectOf(bytes);
  const manifest = manifestOf(value, contentType);
  const { mediaType } = manifestOf(value);
  if (mediaType !== manifest.mediaType) {
    throw invalid(`it was sent as ${manifest.mediaType}, but has no mediaType that says so`);
  }
  if (ofSchema2.has(mediaType) && value["schemaVersion"] !== 2) throw invalid("its schemaVersion is not 2");
  return manifest;
}

/**
 * Parses a manifest that came with `contentType` (as in the header; parameters don't count). Rejects with MANIFEST_INVALID:
 * no JSON object, fields of the wrong type, a content type that is not the manifest's own, or schema 1.
 */
export function parseManifest(bytes: Uint8Array, contentType?: string): Manifest {
  return manifestOf(objectOf(bytes), contentType);
}

function objectOf(bytes: Uint8Array): JsonObject {
  const value = parseJson(bytes);
  if (!isObject(value)) throw invalid("a manifest is a JSON object");
  return value;
}

function manifestOf(value: JsonObject, contentType?: string): Manifest {
  const said = contentType?.split(";")[0]?.trim().toLowerCase() || undefined;
  const own = text(value, "mediaType");
  if (value["schemaVersion"] === 1 || schema1.test(said ?? "") || schema1.test(own ?? "")) {
    throw invalid("schema 1 is no longer taken: push with docker 1.10 or newer, or copy the image with skopeo");
  }
  if (own !== undefined && !mediaTypeForm.test(own)) throw invalid("its mediaType is no media type");
  // Upper and lower case are the same in a media type.
  if (own !== undefined && said !== undefined && own.toLowerCase() !== said && isManifestType(said)) {
    throw invalid(`its mediaType is ${own}, but it was sent as ${said}`);
  }
  const children = descriptors(value, "manifests");
  const isIndex = children !== undefined && !("config" in value) && !("layers" in value);
  const config = optional(value, "config");
  const layers = [...(descriptors(value, "layers") ?? []), ...(descriptors(value, "blobs") ?? [])];
  return {
    mediaType: own ?? (said !== undefined && isManifestType(said) ? said : isIndex ? ociIndex : ociManifest),
    blobs: [...(config ? [config] : []), ...layers].filter(isKeptHere).map(({ digest }) => digest),
    manifests: (children ?? []).map(({ digest }) => digest),
    subject: optional(value, "subject")?.digest,
    artifactType: text(value, "artifactType") ?? config?.mediaType,
    annotations: "annotations" in value && isObject(value["annotations"]) ? value["annotations"] : undefined,
  };
}

/** The descriptor of a manifest for the list of its subject's referrers (OCI distribution 1.1, end-12). */
export function referrer(manifest: Manifest, digest: Digest, size: number): Referrer {
  const { mediaType, artifactType, annotations } = manifest;
  return {
    mediaType,
    digest,
    size,
    ...(artifactType !== undefined && { artifactType }),
    ...(annotations !== undefined && { annotations }),
  };
}

function isManifestType(mediaType: string): boolean {
  return /^application\/vnd\.[\w.+-]+$/.test(mediaType);
}

interface Reference {
  readonly digest: Digest;
  readonly mediaType: string | undefined;
  readonly isElsewhere: boolean;
}

/** Layers that may not be distributed are fetched from their `urls`, and need not be here. */
function isKeptHere({ isElsewhere }: Reference): boolean {
  return !isElsewhere;
}

function optional(value: JsonObject, field: string): Reference | undefined {
  const found = value[field];
  return found === undefined || found === null ? undefined : descriptor(found, field);
}

function descriptors(value: JsonObject, field: string): readonly Reference[] | undefined {
  const list = value[field];
  if (list === undefined || list === null) return undefined;
  if (!Array.isArray(list)) throw invalid(`${field} is no list`);
  return list.map((item) => descriptor(item, field));
}

function descriptor(value: unknown, field: string): Reference {
  const digest = isObject(value) ? value["digest"] : undefined;
  if (!isObject(value) || typeof digest !== "string") throw invalid(`${field} has no digest`);
  const mediaType = text(value, "mediaType");
  const urls = value["urls"];
  const isForeign = /\b(foreign|nondistributable)\b/.test(mediaType ?? "");
  return {
    digest: parsed(digest, field),
    mediaType,
    isElsewhere: isForeign || (Array.isArray(urls) && urls.length > 0),
  };
}

function parsed(digest: string, field: string): Digest {
  try {
    return parseDigest(digest);
  } catch (cause) {
    throw new RegistryError("MANIFEST_INVALID", { detail: `${field} has a malformed digest`, cause });
  }
}

function text(value: JsonObject, field: string): string | undefined {
  const found = value[field];
  if (found === undefined || found === null || found === "") return undefined;
  if (typeof found !== "string") throw invalid(`${field} is no text`);
  return found;
}

function invalid(detail: string): RegistryError {
  return new RegistryError("MANIFEST_INVALID", { detail });
}
