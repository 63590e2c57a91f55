import type { StorageDriver } from "../../../drivers/storage/driver.ts";
import { isNotFound } from "../../../drivers/storage/errors.ts";
import { sourceOf } from "../../../drivers/storage/source-of.ts";
import { RegistryError } from "../../errors.ts";
import type { Blobs } from "../blobs.ts";
import { digestOf, type Digest } from "../digest.ts";
import { groups } from "../groups.ts";
import type { Images } from "../images.ts";
import type { ImageId } from "../names.ts";
import { imageKey } from "../paths.ts";
import type { LayerFacts, OciLayer } from "./layer-facts.ts";
import type { ManifestLinks } from "./manifest-links.ts";
import type { ImageBlob, V1ImageSource } from "./oci-image.ts";
import type { BridgeRecords } from "./records.ts";
import { SharedRuns } from "./shared-runs.ts";
import { untranslatable } from "./untranslatable.ts";

/** What one image of a chain brings to its translation. */
interface Input {
  readonly id: ImageId;
  readonly json: Buffer;
  /** A blob, or the file of an old store. */
  readonly layer: { readonly blob: Digest } | { readonly file: string };
  /** What is another when one of these is. */
  readonly identity: string;
}

/** Images of one chain that are read side by side. */
const imagesAtOnce = 8;
/** Translations at the same time; most of their work waits for the one thread that reads layers. */
const atOnce = 4;
/** Goes up when more images can be translated: those that couldn't are tried again. */
const version = 1;

/** Makes OCI images of V1 images, each once, and remembers what came of it. */
export class OciTranslation {
  readonly #driver: StorageDriver;
  readonly #links: ManifestLinks;
  readonly #blobs: Blobs;
  readonly #images: Images;
  readonly #facts: LayerFacts;
  readonly #records: BridgeRecords;
  readonly #runs = new SharedRuns<Digest>({ atOnce });

  constructor(parts: {
    readonly driver: StorageDriver;
    readonly links: ManifestLinks;
    readonly blobs: Blobs;
    readonly images: Images;
    readonly layerFacts: LayerFacts;
    readonly records: BridgeRecords;
  }) {
    this.#driver = parts.driver;
    this.#links = parts.links;
    this.#blobs = parts.blobs;
    this.#images = parts.images;
    this.#facts = parts.layerFacts;
    this.#records = parts.records;
  }

  /**
   * The manifest of the image, whose content is in the store then. An image that was derived of a manifest is that one
   * again. Rejects with MANIFEST_UNKNOWN when it is not whole (yet), with IMAGE_UNTRANSLATABLE when it can't be; both name
   * the image that is to blame. `thorough` looks at all ancestors and all content again, although nobody changes them.
   */
  async manifestOf(image: ImageId, how?: "thorough"): Promise<Digest> {
    const source = await this.#records.source(image);
    if (source?.isTop === true && (await this.#blobs.has(source.manifest))) return source.manifest;
    const known = await this.#records.translation(image);
    if (known && (await this.#isCurrent(image, known, how))) return outcome(known);
    return await this.#runs.run(image, async () => await this.#translate(image));
  }

  /**
   * The manifest that was made of the image and still counts; undefined when none was made. Reads no layer and writes
   * nothing, but rejects like `manifestOf` as far as that can be told so.
   */
  async look(image: ImageId): Promise<Digest | undefined> {
    const inputs = identityOf(await this.#inputs(image));
    const known = await this.#records.translation(image);
    return known?.inputs === inputs ? outcome(known) : undefined;
  }

  /** The manifest that was made of the image, without making one. */
  async knownManifestOf(image: ImageId): Promise<Digest | undefined> {
    const source = await this.#records.source(image);
    if (source?.isTop === true) return source.manifest;
    const known = await this.#records.translation(image);
    return known && "manifest" in known ? known.manifest : undefined;
  }

  async #isCurrent(image: ImageId, known: Known, how: "thorough" | undefined): Promise<boolean> {
    if ("problem" in known || how === "thorough") {
      if (known.inputs !== identityOf(await this.#inputs(image))) return false;
      return "problem" in known || (await this.#links.isWhole(known.manifest));
    }
    return known.top === identityOf([await this.#input(image)]);
  }

  async #translate(image: ImageId): Promise<Digest> {
    const inputs = await this.#inputs(image);
    const identity = identityOf(inputs);
    try {
      const chain: V1ImageSource[] = [];
      for await (const group of groups(inputs, imagesAtOnce)) {
        chain.push(
          ...(await Promise.all(
            group.map(async (input) => ({ id: input.id, json: input.json, layer: await this.#layer(input) })),
          )),
        );
      }
      // Loaded when it is needed: few servers have images of V1.
      const { manifest, config } = (await import("./oci-image.ts")).ociImageOf(chain);
      for (const blob of [config, manifest]) await this.#keep(blob);
      await this.#keepImageOf(manifest.digest, image);
      const top = identityOf(inputs.slice(-1));
      await this.#records.keepTranslation(image, { manifest: manifest.digest, inputs: identity, top });
      return manifest.digest;
    } catch (error) {
      if (error instanceof RegistryError && error.code === "IMAGE_UNTRANSLATABLE") {
        await this.#records.keepTranslation(image, { problem: error.message, inputs: identity });
      }
      throw error;
    }
  }

  /** What was pushed counts before what is derived: V1 clients see the ids that they know. */
  async #keepImageOf(manifest: Digest, image: ImageId): Promise<void> {
    const known = await this.#records.imageOf(manifest);
    if (known?.origin !== "pushed") await this.#records.keepImageOf(manifest, { image, origin: "pushed" });
  }

  async #keep({ digest, size, bytes }: ImageBlob): Promise<void> {
    if ((await this.#blobs.size(digest)) !== size) await this.#blobs.putAs(digest, sourceOf(bytes), size);
  }

  /** Those of the image and all that it is built on, base first. */
  async #inputs(image: ImageId): Promise<readonly Input[]> {
    await this.#requireComplete(image);
    const ids = [...(await this.#ancestry(image))].reverse();
    const inputs: Input[] = [];
    for await (const group of groups(ids, imagesAtOnce)) {
      inputs.push(...(await Promise.all(group.map(async (id) => await this.#input(id)))));
    }
    return inputs;
  }

  async #ancestry(image: ImageId): Promise<readonly ImageId[]> {
    try {
      return await this.#images.ancestry(image);
    } catch (error) {
      throw isUnknown(error) ? unknown(`an image that ${image} is built on is missing`, error) : error;
    }
  }

  async #input(id: ImageId): Promise<Input> {
    await this.#requireComplete(id);
    const [json, accepted] = await Promise.all([this.#images.json(id), this.#images.acceptedLayer(id)]);
    const file = imageKey(id, "layer");
    const layer = accepted ? { blob: accepted.digest } : { file };
    const place = accepted ? accepted.digest : await this.#fileIdentity(id, file);
    return { id, json, layer, identity: `${id} ${digestOf(json)} ${place}` };
  }

  async #fileIdentity(id: ImageId, file: string): Promise<string> {
    try {
      const { size, modified } = await this.#driver.stat(file);
      return `${size} bytes of ${modified.toISOString()}`;
    } catch (error) {
      throw isNotFound(error) ? missing(id) : error;
    }
  }

  async #requireComplete(id: ImageId): Promise<void> {
    const state = await this.#images.state(id);
    if (state === "inProgress") throw unknown(`image ${id} is still being pushed`);
    if (state === "absent") throw unknown(`image ${id} is missing`);
  }

  async #layer({ id, layer }: Input): Promise<OciLayer> {
    try {
      const digest = "blob" in layer ? layer.blob : (await this.#facts.adoptFile(layer.file)).digest;
      return await this.#facts.ociLayer(digest);
    } catch (error) {
      if (isNotFound(error) || (error instanceof RegistryError && error.code === "BLOB_UNKNOWN")) throw missing(id);
      if (!(error instanceof RegistryError) || error.code !== "LAYER_UNSUPPORTED") throw error;
      const name = "blob" in layer ? `the layer ${layer.blob} of image ${id}` : `the layer of image ${id}`;
      throw untranslatable(`${name} can't be read: ${error.detail ?? error.message}`);
    }
  }
}

type Known = NonNullable<Awaited<ReturnType<BridgeRecords["translation"]>>>;

function outcome(known: Known): Digest {
  if ("manifest" in known) return known.manifest;
  throw new RegistryError("IMAGE_UNTRANSLATABLE", { message: known.problem });
}

function identityOf(inputs: readonly Input[]): Digest {
  return digestOf(Buffer.from([`version ${version}`, ...inputs.map(({ identity }) => identity)].join("\n")));
}

function missing(id: ImageId): RegistryError {
  return unknown(`the layer of image ${id} is missing`);
}

function unknown(detail: string, cause?: unknown): RegistryError {
  return new RegistryError("MANIFEST_UNKNOWN", { detail, cause });
}

function isUnknown(error: unknown): boolean {
  return error instanceof RegistryError && error.code === "IMAGE_UNKNOWN";
}
