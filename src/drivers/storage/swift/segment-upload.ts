import type { Stat } from "../driver.ts";
import { DriverError } from "../errors.ts";
import { registryLayers } from "../layer-keys.ts";
import type { PartUpload } from "../s3/object-bucket.ts";
import type { Container, Put } from "./container.ts";
import type { GrowingPart } from "./growing-part.ts";
import { inLanes, type Segment, type Segments } from "./segments.ts";

/** A large object on its way: its parts are stored one by one, and the list of them at last. */
export class SegmentUpload implements PartUpload {
  readonly #objects: Container;
  readonly #segments: Segments;
  readonly #key: string;
  readonly #upload: string;
  /** A part may be there. */
  #isStored = false;
  readonly #parts: (Segment & { readonly part: number })[] = [];

  private constructor(objects: Container, segments: Segments, key: string) {
    this.#objects = objects;
    this.#segments = segments;
    this.#key = key;
    this.#upload = segments.newUpload();
  }

  static async begin(objects: Container, segments: Segments, key: string): Promise<SegmentUpload> {
    const upload = new SegmentUpload(objects, segments, key);
    await segments.pend(upload.#upload, [key]);
    return upload;
  }

  async put(part: number, content: Buffer): Promise<void> {
    await this.#store(part, () => content.length, { body: content, subject: this.#key });
  }

  /** As `put`, while the part comes. Needs what it consists of until this resolves. */
  async send(part: number, content: GrowingPart): Promise<void> {
    await this.#store(part, () => content.length, { body: content, subject: this.#key });
  }

  /** Copies these parts of another object within the server. */
  async copy(parts: readonly Segment[], from: string): Promise<void> {
    await inLanes(parts, async ({ path, size_bytes }, index) => {
      const source = path.split("/").map(encodeURIComponent).join("/");
      await this.#store(index + 1, () => size_bytes, { headers: { "x-copy-from": source }, subject: from });
    });
  }

  async complete(size: number): Promise<Stat> {
    const parts = this.#parts.toSorted((a, b) => a.part - b.part);
    const list = parts.map(({ path, size_bytes, etag }) => ({ path, size_bytes, etag }));
    const head = await this.#segments.publish(this.#key, this.#upload, list, size);
    // Another write may have been faster: then nobody has these parts.
    if (head.upload !== this.#upload) await this.#segments.settle(this.#upload, [this.#key]);
    // What is soon to be moved is marked for that already.
    else if (registryLayers.uploadOf(this.#key) === undefined) await this.#segments.unmark(this.#upload);
    return { size, modified: head.modified };
  }

  /** What can't be taken back now is found when the store is looked through for it. */
  async abort(): Promise<void> {
    if (!this.#isStored) {
      await this.#segments.unmark(this.#upload);
      return;
    }
    try {
      // The list may have arrived although its answer was lost: nothing may be left that lists parts which are gone.
      if ((await this.#objects.find(this.#key))?.upload === this.#upload) await this.#objects.delete(this.#key, true);
      await this.#segments.settle(this.#upload, [this.#key]);
    } catch (error) {
      unless(error);
    }
  }

  async #store(part: number, size: () => number, put: Put & { readonly subject: string }): Promise<void> {
    this.#isStored = true;
    const { headers } = await this.#segments.container.put(this.#segments.partKey(this.#upload, part), put);
    const etag = headers.etag?.replaceAll('"', "") ?? "";
    this.#parts.push({ part, path: this.#segments.partPath(this.#upload, part), size_bytes: size(), etag });
  }
}

/** A failure of the server's is no reason to fail here; any other is. */
function unless(error: unknown): void {
  if (!(error instanceof DriverError)) throw error;
}
