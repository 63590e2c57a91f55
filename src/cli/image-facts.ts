import type { FoundManifest, RegistryPort } from "../server/index.ts";

/** A blob that an image needs. */
export interface Blob {
  readonly digest: string;
  readonly size: number;
  readonly mediaType: string;
}

/** What a manifest is, with all that it needs. */
export interface ImageFacts {
  readonly digest: string;
  readonly mediaType: string;
  readonly kind: "image" | "index" | "artifact" | "schema 1";
  /** Of an artifact, what kind it says it is. */
  readonly artifactType: string | undefined;
  readonly config: Blob | undefined;
  /** Base first. */
  readonly layers: readonly Blob[];
  /** The images of an index; `facts` is undefined for those that the repository lacks. */
  readonly platforms: readonly {
    readonly platform: string;
    readonly digest: string;
    readonly facts: ImageFacts | undefined;
  }[];
  /** `os/architecture` of an image. */
  readonly platform: string | undefined;
  /** Of an index, of its first image that says it. */
  readonly created: string | undefined;
  /** All content together, manifests too, in bytes; what is there twice counts once. */
  readonly size: number;
}

type Json = Readonly<Record<string, unknown>>;

/** Indexes that name indexes are followed so deep. */
const deepest = 4;

/** Reads what a tag or digest stands for, without its layers; or tells why V2 has none of it. */
export async function factsOf(
  registry: RegistryPort,
  repository: string,
  reference: string,
): Promise<ImageFacts | { readonly reason: string }> {
  const found = await registry.manifest(repository, reference);
  return "reason" in found ? found : await described(registry, repository, found, deepest);
}

/** Every blob and manifest that an image needs, by digest, with its size. */
export function contentOf(facts: ImageFacts): ReadonlyMap<string, number> {
  const content = new Map<string, number>();
  for (const { digest, size } of [...(facts.config ? [facts.config] : []), ...facts.layers]) content.set(digest, size);
  for (const { facts: below } of facts.platforms) {
    if (below) for (const [digest, size] of contentOf(below)) content.set(digest, size);
  }
  return content;
}

async function described(
  registry: RegistryPort,
  repository: string,
  manifest: Exclude<FoundManifest, { readonly reason: string }>,
  depth: number,
): Promise<ImageFacts> {
  const { digest, mediaType, bytes } = manifest;
  const value = parsed(bytes);
  const config = blob(value["config"]);
  const layers = blobs(value["layers"] ?? value["blobs"]);
  const platforms = [];
  for (const entry of depth === 0 ? [] : entries(value["manifests"])) {
    const found =
      typeof entry["digest"] === "string" ? await registry.manifest(repository, entry["digest"]) : undefined;
    const facts = found && !("reason" in found) ? await described(registry, repository, found, depth - 1) : undefined;
    platforms.push({
      platform: platformText(entry["platform"]) ?? "unknown",
      digest: text(entry["digest"]) ?? "",
      facts,
    });
  }
  const isIndex = Array.isArray(value["manifests"]);
  const isImage = config !== undefined && /image\.config|container\.image|octet-stream/.test(config.mediaType);
  const document = isImage ? parsed((await registry.config(repository, config.digest)) ?? Buffer.alloc(0)) : {};
  const content = { config, layers, platforms };
  const facts = {
    ...{ digest, mediaType, ...content },
    kind: isIndex ? "index" : value["schemaVersion"] === 1 ? "schema 1" : isImage ? "image" : "artifact",
    artifactType: isIndex || isImage ? undefined : (text(value["artifactType"]) ?? config?.mediaType),
    platform: isImage ? platformText(document) : undefined,
    created: text(document["created"]) ?? platforms.find(({ facts: below }) => below?.created)?.facts?.created,
    size: 0,
  } as const satisfies ImageFacts;
  const size = [...contentOf(facts).values()].reduce((sum, each) => sum + each, manifestBytes(bytes.length, platforms));
  return { ...facts, size };
}

/** Of a manifest and those below it. */
function manifestBytes(own: number, platforms: ImageFacts["platforms"]): number {
  return platforms.reduce((sum, { facts }) => {
    if (!facts) return sum;
    const content = [...contentOf(facts).values()].reduce((all, each) => all + each, 0);
    return sum + facts.size - content;
  }, own);
}

function blobs(value: unknown): readonly Blob[] {
  return entries(value)
    .map(blob)
    .filter((each) => each !== undefined);
}

function blob(value: unknown): Blob | undefined {
  if (!isObject(value)) return undefined;
  const { digest, size, mediaType } = value;
  if (typeof digest !== "string" || typeof size !== "number") return undefined;
  return { digest, size, mediaType: text(mediaType) ?? "" };
}

function platformText(value: unknown): string | undefined {
  if (!isObject(value)) return undefined;
  const parts = [value["os"], value["architecture"], value["variant"]].filter(
    (part) => typeof part === "string" && part !== "",
  );
  return parts.length > 0 ? parts.join("/") : undefined;
}

function entries(value: unknown): readonly Json[] {
  return Array.isArray(value) ? value.filter(isObject) : [];
}

function text(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

function parsed(bytes: Buffer): Json {
  try {
    const value: unknown = JSON.parse(bytes.toString());
    return isObject(value) ? value : {};
  } catch {
    return {};
  }
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
