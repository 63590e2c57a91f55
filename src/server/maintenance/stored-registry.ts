import type { Settings } from "../config/schema.ts";
import { RegistryError } from "../errors.ts";
import { nameMisfit, ociTagOf } from "../registry/bridge/names.ts";
import { BridgeRecords } from "../registry/bridge/records.ts";
import { ImageViews } from "../registry/bridge/views.ts";
import { isDigest, type Digest } from "../registry/digest.ts";
import { Documents } from "../registry/documents.ts";
import { Images } from "../registry/images.ts";
import { parseStoredManifest } from "../registry/manifest.ts";
import {
  parseRepositoryName,
  parseTagName,
  unquotePlus,
  type ImageId,
  type RepositoryName,
  type TagName,
} from "../registry/names.ts";
import { isOciName, type OciName } from "../registry/oci-names.ts";
import { blobKey, manifestLinkKey } from "../registry/paths.ts";
import { openWhole, type OpenedStore, type OpenOptions } from "./opened-store.ts";
import type { FoundManifest, RegistryPort, V1ImageView } from "./port.ts";

/** Opens the store itself, for when no server runs. Rejects as the storage does. */
export async function openStoredRegistry(
  settings: Settings,
  name: string,
  options: OpenOptions,
): Promise<RegistryPort> {
  return new StoredRegistry(await openWhole(settings, options), settings, name);
}

class StoredRegistry implements RegistryPort {
  readonly name: string;
  readonly #store: OpenedStore;
  readonly #documents: Documents;
  readonly #views: ImageViews;

  constructor(store: OpenedStore, settings: Settings, name: string) {
    this.name = name;
    this.#store = store;
    this.#documents = new Documents(store.driver);
    this.#views = new ImageViews({
      documents: this.#documents,
      images: new Images(store.driver, this.#documents),
      records: new BridgeRecords(this.#documents),
      platform: settings.v1_platform,
    });
  }

  async *repositories(): AsyncGenerator<string> {
    const { catalog, own } = this.#store.registry;
    yield* catalog.list();
    for await (const repository of own.repositories.all()) if (nameMisfit(repository)) yield spelt(repository);
  }

  async *tags(repository: string): AsyncGenerator<string> {
    const { own, ociTags } = this.#store.registry;
    const { inV1, inV2 } = placesOf(repository);
    const isThere = inV1 !== undefined && (await own.repositories.exists(inV1));
    if (!isThere && !(inV2 && (await own.ociTags.hasRepository(inV2)))) {
      throw new RegistryError("NAME_UNKNOWN", { message: `${this.name} has no repository ${repository}` });
    }
    const names = new Set<string>();
    if (inV2) for await (const tag of ociTags.list(inV2)) names.add(tag);
    if (inV1) for await (const tag of own.tags.names(inV1)) names.add(tag);
    yield* [...names].sort();
  }

  async manifest(repository: string, reference: string): Promise<FoundManifest> {
    const digest = isDigest(reference)
      ? await this.#linked(repository, reference)
      : await this.#named(repository, parseTagName(reference));
    if (typeof digest === "object") return digest;
    const bytes = digest && (await this.#documents.read(blobKey(digest)));
    if (!bytes) return { reason: digest ? `its manifest ${digest} is missing` : `there is no tag ${reference}` };
    return { digest, bytes, mediaType: parseStoredManifest(bytes).mediaType };
  }

  async config(_repository: string, digest: string): Promise<Buffer | undefined> {
    return isDigest(digest) ? await this.#documents.read(blobKey(digest)) : undefined;
  }

  async chain(repository: string, tag: string): Promise<readonly V1ImageView[] | { readonly reason: string }> {
    try {
      const { link, image } = await this.#find(repository, parseTagName(tag));
      if (link) return await this.#views.ofManifest(link);
      return image ? await this.#views.ofImage(image) : { reason: `there is no tag ${tag}` };
    } catch (error) {
      return { reason: reasonOf(error) };
    }
  }

  async removeTag(repository: string, text: string): Promise<boolean> {
    const { own, ociTags } = this.#store.registry;
    const { inV1, inV2 } = placesOf(repository);
    const tag = parseTagName(text);
    const ociTag = ociTagOf(tag);
    if (inV2 && ociTag) return await ociTags.remove(inV2, ociTag);
    return inV1 !== undefined && (await own.tags.remove(inV1, tag));
  }

  async close(): Promise<void> {
    await this.#store.close();
  }

  async #linked(repository: string, digest: Digest): Promise<Digest | undefined> {
    const { inV2 } = placesOf(repository);
    return inV2 && (await this.#documents.has(manifestLinkKey(inV2, digest))) ? digest : undefined;
  }

  /** The manifest of a tag, or why V2 has none of it. */
  async #named(repository: string, tag: TagName): Promise<Digest | { readonly reason: string } | undefined> {
    const { link, image } = await this.#find(repository, tag);
    if (link ?? image === undefined) return link;
    const { inV2 } = placesOf(repository);
    if (!inV2 || !ociTagOf(tag)) return { reason: "V2 can't spell its name" };
    const { bridge } = this.#store.registry;
    const known = await bridge.knownManifestOf(image);
    if (known) return known;
    try {
      const manifest = await bridge.look(parseRepositoryName(repository), tag);
      return manifest.manifest ?? { reason: notReady };
    } catch (error) {
      return { reason: reasonOf(error) };
    }
  }

  /** What a tag names in the protocol that counts. */
  async #find(repository: string, tag: TagName): Promise<{ readonly link?: Digest; readonly image?: ImageId }> {
    const { own } = this.#store.registry;
    const { inV1, inV2 } = placesOf(repository);
    const ociTag = ociTagOf(tag);
    const link = inV2 && ociTag && (await own.ociTags.digest(inV2, ociTag));
    if (link) return { link };
    const image = inV1 && (await own.tags.find(inV1, tag));
    return image ? { image } : {};
  }
}

const notReady = "it is not ready for V2 yet: the first pull makes it so, or registryctl adopt --write";

/** What the core says of an image; what the storage fails with passes through. */
function reasonOf(error: unknown): string {
  if (error instanceof RegistryError) return error.detail ?? error.message;
  throw error;
}

/** What the repository is in each protocol; undefined where it can't be spelt. */
function placesOf(repository: string): {
  readonly inV1: RepositoryName | undefined;
  readonly inV2: OciName | undefined;
} {
  const inV2 = isOciName(repository) ? repository : undefined;
  try {
    return { inV1: parseRepositoryName(repository), inV2 };
  } catch {
    return { inV1: undefined, inV2 };
  }
}

/** As clients spell it: the name decoded. */
function spelt({ namespace, name }: RepositoryName): string {
  return `${namespace}/${unquotePlus(name) ?? name}`;
}
