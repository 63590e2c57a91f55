import { Readable } from "node:stream";
import type { StorageDriver } from "../../drivers/storage/driver.ts";
import { isNotFound } from "../../drivers/storage/errors.ts";
import type { Images } from "./images.ts";
import type { LayerAnalysis } from "./layers/analysis.ts";
import type { ImageId } from "./names.ts";
import { imageKey, type ImageFile } from "./paths.ts";

/** A derived document: its size in bytes and its content. */
export interface FileList {
  readonly size: number;
  readonly open: () => Promise<Readable>;
}

/**
 * What is in an image's layer, and what it changed. Computed when first asked for, outside the event loop, and kept in
 * the store; whoever asks meanwhile waits for the same computation. Images must be complete.
 */
export class FileLists {
  readonly #driver: StorageDriver;
  readonly #images: Images;
  readonly #analysis: LayerAnalysis;
  readonly #running = new Map<string, Promise<void>>();

  constructor(parts: { readonly driver: StorageDriver; readonly images: Images; readonly analysis: LayerAnalysis }) {
    this.#driver = parts.driver;
    this.#images = parts.images;
    this.#analysis = parts.analysis;
  }

  /** Rows `[name, type, is_deleted, size, mtime, mode, uid, gid]`. Rejects with LAYER_UNSUPPORTED or IMAGE_UNKNOWN. */
  async files(id: ImageId): Promise<FileList> {
    return await this.#derived(id, "_files", async () => {
      const layer = await this.#images.layer(id);
      return this.#analysis.files(opened(layer.open));
    });
  }

  /** `{"changed", "created", "deleted"}` against the image's ancestors. Rejects as `files`. */
  async diff(id: ImageId): Promise<FileList> {
    return await this.#derived(id, "_diff", async () => {
      const [, ...ancestors] = await this.#images.ancestry(id);
      const own = await this.files(id);
      return this.#analysis.diff(
        await own.open(),
        ancestors.map((ancestor) => async () => {
          await this.#images.requireComplete(ancestor);
          return await (await this.files(ancestor)).open();
        }),
      );
    });
  }

  async #derived(id: ImageId, file: ImageFile, compute: () => Promise<AsyncIterable<Uint8Array>>): Promise<FileList> {
    const key = imageKey(id, file);
    return (await this.#stored(key)) ?? (await this.#computed(key, compute));
  }

  async #computed(key: string, compute: () => Promise<AsyncIterable<Uint8Array>>): Promise<FileList> {
    let running = this.#running.get(key);
    if (!running) {
      running = compute()
        .then(async (content) => {
          await this.#driver.write(key, content);
        })
        .finally(() => this.#running.delete(key));
      this.#running.set(key, running);
    }
    await running;
    return await this.#read(key);
  }

  /** Undefined when there is none yet; the Python registry left empty documents where its computation had failed. */
  async #stored(key: string): Promise<FileList | undefined> {
    try {
      const list = await this.#read(key);
      return list.size > 0 ? list : undefined;
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  async #read(key: string): Promise<FileList> {
    const { size } = await this.#driver.stat(key);
    return { size, open: async () => await this.#driver.read(key) };
  }
}

/** The stream that `open` answers, opened when it is first read: an analysis may wait for its turn before that. */
async function* opened(open: () => Promise<Readable>): AsyncGenerator<Uint8Array> {
  yield* (await open()) as AsyncIterable<Uint8Array>;
}
