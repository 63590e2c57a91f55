import { isNotFound } from "../../../drivers/storage/errors.ts";
import { SizeMismatch } from "../../../drivers/storage/exact-size.ts";
import { RegistryError } from "../../errors.ts";
import { verified, type Digest } from "../../registry/digest.ts";
import { isObject, parseJson } from "../../registry/documents.ts";
import { blobKey, layerFactsKey } from "../../registry/paths.ts";
import { NotCopied, settled } from "./not-copied.ts";
import { Outcomes } from "./outcomes.ts";
import type { CopyParts } from "./parts.ts";
import { hasDigest } from "./sink.ts";

/** Outcomes that are remembered: images that follow each other share most of their content. */
const remembered = 50_000;

/** Copies content, each once, by its digest. */
export class BlobCopy {
  readonly #parts: CopyParts;
  readonly #outcomes = new Outcomes<Digest, void>(remembered);

  constructor(parts: CopyParts) {
    this.#parts = parts;
  }

  /** Afterwards the target has the blob. Rejects with `NotCopied` when the source has it not, or damaged. */
  async ensure(digest: Digest): Promise<void> {
    await this.#outcomes.of(digest, async () => {
      await this.#ensure(digest);
    });
  }

  /** As `ensure`, for each. */
  async ensureAll(digests: Iterable<Digest>): Promise<void> {
    await settled(Array.from(new Set(digests), async (digest) => { await this.ensure(digest); })); // prettier-ignore
  }

  async #ensure(digest: Digest): Promise<void> {
    const key = blobKey(digest);
    const [size, there] = await Promise.all([this.#parts.from.documents.size(key), this.#parts.to.documents.size(key)]);
    const { blobs } = this.#parts.tally;
    const isThere = there !== undefined && (size === undefined || size === there);
    if (isThere && (!this.#parts.verify || (await this.#parts.sink.isRight(key, there, hasDigest(digest))))) {
      blobs.there++;
      return;
    }
    if (size === undefined) throw missing(digest);
    if (!isThere) await this.#copyFacts(digest);
    await this.#copy(digest, size);
    blobs[isThere ? "repaired" : "copied"]++;
    blobs.bytes += size;
  }

  async #copy(digest: Digest, size: number): Promise<void> {
    const { driver } = this.#parts.from;
    try {
      await this.#parts.sink.content(blobKey(digest), size, async function* () {
        yield* verified((await driver.read(blobKey(digest))) as AsyncIterable<Uint8Array>, digest);
      });
    } catch (error) {
      if (isNotFound(error)) throw missing(digest, error);
      if (!isWrong(error)) throw error;
      throw new NotCopied("blob-damaged", `the content of the blob ${digest} has another digest`, { digest }, { cause: error }); // prettier-ignore
    }
  }

  /**
   * What has been found out by reading a layer; before the layer, so that a copy that was cut short lacks nothing of it.
   * That the blob of the source is damaged is no fact of the target's.
   */
  async #copyFacts(digest: Digest): Promise<void> {
    const key = layerFactsKey(digest);
    const bytes = await this.#parts.from.documents.read(key);
    const facts = bytes && parseJson(bytes);
    if (!bytes || !isObject(facts) || facts["layer"] === undefined || (await this.#parts.to.documents.has(key))) return;
    await this.#parts.sink.document(key, bytes);
  }
}

/** Whether content was not what was said of it. */
export function isWrong(error: unknown): boolean {
  return error instanceof SizeMismatch || (error instanceof RegistryError && error.code === "DIGEST_INVALID");
}

function missing(digest: Digest, cause?: unknown): NotCopied {
  return new NotCopied("blob-missing", `the blob ${digest} is missing`, { digest }, { cause });
}
