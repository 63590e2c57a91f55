import { isDigest, type Descriptor } from "../digest.ts";
import { isObject, parseJson } from "../documents.ts";
import { ociIndex, ociManifest } from "../manifest.ts";
import { untranslatable } from "./untranslatable.ts";

interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant: string;
}

interface Entry extends Descriptor {
  /** Undefined where the index doesn't say; nested indexes seldom do. */
  readonly platform: Platform | undefined;
}

const imageTypes = [
  ociManifest,
  ociIndex,
  "application/vnd.docker.distribution.manifest.v2+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
];

/**
 * The manifest of an index for a platform such as `linux/amd64` or `linux/arm/v7`; it may be an index again. The
 * variant that is asked for wins, then an entry without one, then, when none was asked for, the first that has any; an
 * entry that says no platform comes last. Attestations and artifacts don't count. Rejects with IMAGE_UNTRANSLATABLE,
 * which names the platforms that there are.
 */
export function platformManifest(index: Uint8Array, platform: string): Descriptor {
  const [os = "", architecture = "", variant = ""] = platform.split("/");
  const entries = imageEntries(index);
  const fitting = entries.filter((entry) => entry.platform?.os === os && entry.platform.architecture === architecture);
  const found =
    fitting.find((entry) => entry.platform?.variant === variant) ??
    fitting.find((entry) => entry.platform?.variant === "") ??
    (variant === "" ? fitting[0] : undefined) ??
    entries.find((entry) => entry.platform === undefined);
  if (!found) throw untranslatable(absence(platform, entries));
  return { mediaType: found.mediaType, digest: found.digest, size: found.size };
}

function absence(platform: string, entries: readonly Entry[]): string {
  const there = new Set(
    entries
      .map((entry) => entry.platform)
      .filter((found) => found !== undefined)
      .map(platformText),
  );
  if (there.size === 0) return "its index names no image";
  return `it is not there for ${platform}, only for ${[...there].join(", ")}`;
}

function platformText({ os, architecture, variant }: Platform): string {
  return variant === "" ? `${os}/${architecture}` : `${os}/${architecture}/${variant}`;
}

function imageEntries(index: Uint8Array): readonly Entry[] {
  const value = parseJson(index);
  const list: unknown = isObject(value) ? value["manifests"] : undefined;
  if (!Array.isArray(list)) throw untranslatable("its index is damaged");
  return list.map(imageEntry).filter((entry) => entry !== undefined);
}

function imageEntry(value: unknown): Entry | undefined {
  if (!isObject(value)) return undefined;
  const { digest, size, mediaType, platform, artifactType } = value;
  if (typeof digest !== "string" || !isDigest(digest) || typeof size !== "number") return undefined;
  const type = typeof mediaType === "string" ? mediaType : ociManifest;
  const isAttestation = isObject(platform) && platform["os"] === "unknown";
  const isArtifact = typeof artifactType === "string" && artifactType !== "";
  if (!imageTypes.includes(type) || isAttestation || isArtifact) return undefined;
  return { digest, size, mediaType: type, platform: isObject(platform) ? parsedPlatform(platform) : undefined };
}

function parsedPlatform({ os, architecture, variant }: Readonly<Record<string, unknown>>): Platform | undefined {
  if (typeof os !== "string" || typeof architecture !== "string") return undefined;
  return { os, architecture, variant: typeof variant === "string" ? variant : "" };
}
