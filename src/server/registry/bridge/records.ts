import { isDigest, type Digest } from "../digest.ts";
import { isObject, type Documents } from "../documents.ts";
import { isImageId, type ImageId } from "../names.ts";
import { imageManifestKey, imageSourceKey, manifestImageKey } from "../paths.ts";

/** What came of translating a V1 image; `inputs` tell all that it was made of. */
export type Translation =
  | {
      readonly manifest: Digest;
      readonly inputs: Digest;
      /** The image alone, without its ancestors. */ readonly top: Digest;
    }
  | { readonly problem: string; readonly inputs: Digest };

/** Where an image comes from that was derived of a manifest of V2. */
export interface ImageSource {
  readonly manifest: Digest;
  /** From the base, which is 0. */
  readonly position: number;
  /** Whether it is the last of its chain, and stands for the whole image. */
  readonly isTop: boolean;
}

/** The image that a manifest is in V1: pushed through V1 and then translated, or derived of the manifest. */
export interface ManifestImage {
  readonly image: ImageId;
  readonly origin: "pushed" | "derived";
}

/** What the bridge keeps in the store. All of it can be found again; what can't be read counts as not there. */
export class BridgeRecords {
  readonly #documents: Documents;

  constructor(documents: Documents) {
    this.#documents = documents;
  }

  async translation(image: ImageId): Promise<Translation | undefined> {
    const value = await this.#documents.readJson(imageManifestKey(image));
    if (!isObject(value)) return undefined;
    const { manifest, problem, inputs, top } = value;
    if (!isDigestText(inputs)) return undefined;
    if (typeof problem === "string") return { problem, inputs };
    return isDigestText(manifest) && isDigestText(top) ? { manifest, inputs, top } : undefined;
  }

  async keepTranslation(image: ImageId, translation: Translation): Promise<void> {
    await this.#documents.write(imageManifestKey(image), JSON.stringify(translation));
  }

  async source(image: ImageId): Promise<ImageSource | undefined> {
    const value = await this.#documents.readJson(imageSourceKey(image));
    if (!isObject(value)) return undefined;
    const { manifest, position, isTop } = value;
    if (!isDigestText(manifest) || typeof position !== "number" || typeof isTop !== "boolean") return undefined;
    return { manifest, position, isTop };
  }

  async keepSource(image: ImageId, source: ImageSource): Promise<void> {
    await this.#documents.write(imageSourceKey(image), JSON.stringify(source));
  }

  async imageOf(manifest: Digest): Promise<ManifestImage | undefined> {
    const value = await this.#documents.readJson(manifestImageKey(manifest));
    if (!isObject(value) || !isImageId(value["image"])) return undefined;
    const { image, origin } = value;
    return origin === "pushed" || origin === "derived" ? { image, origin } : undefined;
  }

  async keepImageOf(manifest: Digest, image: ManifestImage): Promise<void> {
    await this.#documents.write(manifestImageKey(manifest), JSON.stringify(image));
  }
}

function isDigestText(value: unknown): value is Digest {
  return typeof value === "string" && isDigest(value);
}
