import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { StorageDriver } from "../../drivers/storage/driver.ts";
import { isDigest, type Digest } from "./digest.ts";
import type { Documents } from "./documents.ts";
import { uploadCancelledKey, uploadChunkKey, uploadDataKey, uploadPrefix } from "./paths.ts";
import type { UploadId } from "./upload-id.ts";

/** The body of one request, whole and in its place; offset and size in bytes. Others may follow it in the same object. */
export interface Chunk {
  readonly offset: number;
  readonly size: number;
  /** Names the object with its bytes. */
  readonly uuid: string;
  /** Only of a first chunk that is alone in its object for ever: an upload that has no other is already hashed with it. */
  readonly digest: Digest | undefined;
}

/** An upload as the store has it: its chunks, each where the one before ends. */
export interface ChunkList {
  readonly chunks: readonly Chunk[];
  readonly size: number;
  readonly isCancelled: boolean;
}

/** How long two processes may take to see that both wrote a chunk of the same place, in milliseconds. */
const patience = { each: 20, times: 50 };

/**
 * The chunks of unfinished uploads. The listing of an upload's folder is all that there is to know of it, so any process
 * on the store can go on with any upload.
 */
export class UploadChunks {
  readonly #driver: StorageDriver;
  readonly #documents: Documents;

  constructor(driver: StorageDriver, documents: Documents) {
    this.#driver = driver;
    this.#documents = documents;
  }

  /** Keeps the bytes of a body that has no place yet; answers their name and number. Keeps nothing when `source` throws. */
  async keep(id: UploadId, source: AsyncIterable<Uint8Array>, size?: number): Promise<Pick<Chunk, "uuid" | "size">> {
    const uuid = randomUUID();
    const kept = await this.#driver.write(uploadDataKey(id, uuid), source, size);
    return { uuid, size: kept.size };
  }

  /** Whether several chunks can be written into one object. */
  get canGrow(): boolean {
    return this.#driver.append !== undefined;
  }

  /**
   * Writes the bytes of a body behind the first `size` of an object that this process alone adds to. What a `source` that
   * throws has left there is cut off by the next. See `StorageDriver.append` for how long they last.
   */
  async grow(
    id: UploadId,
    { uuid, size }: Pick<Chunk, "uuid" | "size">,
    source: AsyncIterable<Uint8Array>,
  ): Promise<void> {
    await this.#driver.append?.(uploadDataKey(id, uuid), size, source);
  }

  /** Forgets bytes that got no place. */
  async drop(id: UploadId, uuid: string): Promise<void> {
    await this.#driver.delete(uploadDataKey(id, uuid));
  }

  /**
   * Gives a kept body its place at the end of the upload. Answers false, and drops it (if it has the object for itself),
   * when the place is taken or the upload is over: of several at the same time, in whichever processes, at most one gets it, and one does unless its
   * process dies. Each writes first and looks then, so no two can both believe that they were alone.
   */
  async add(id: UploadId, chunk: Chunk, isShared = false): Promise<boolean> {
    const key = uploadChunkKey(id, chunkText(chunk));
    // It has to outlive this process, as its bytes do, but no power cut.
    if (this.#driver.append) await this.#driver.append(key, 0, nothing());
    else await this.#documents.write(key, "");
    for (let turn = 0; turn < patience.times; turn++) {
      const { candidates, isCancelled } = await this.#listed(id);
      const rivals = candidates.filter(({ offset }) => offset === chunk.offset);
      const first = rivals[0];
      const isInPlace = chain(candidates).some(({ offset, uuid }) => offset === chunk.offset && uuid === chunk.uuid);
      if (isCancelled || first?.uuid !== chunk.uuid || !isInPlace) break;
      if (rivals.length === 1) return true;
      // The other sees that this one was first and gives way, unless it had looked before this one was there.
      await sleep(patience.each);
    }
    await this.#driver.delete(key);
    if (!isShared) await this.drop(id, chunk.uuid);
    return false;
  }

  /** What the upload consists of. Waits for chunks of the same place to be settled. */
  async list(id: UploadId): Promise<ChunkList> {
    for (let turn = 1; ; turn++) {
      const { candidates, isCancelled } = await this.#listed(id);
      const chunks = chain(candidates);
      const isSettled = new Set(candidates.map(({ offset }) => offset)).size === candidates.length;
      const last = chunks.at(-1);
      if (isSettled || turn === patience.times)
        return { chunks, size: last ? last.offset + last.size : 0, isCancelled };
      await sleep(patience.each);
    }
  }

  /** Where the bytes of a chunk are. */
  dataKey(id: UploadId, chunk: Pick<Chunk, "uuid">): string {
    return uploadDataKey(id, chunk.uuid);
  }

  /** The bytes of all chunks. Throws the driver's NOT_FOUND when the upload was finished meanwhile. */
  async *read(id: UploadId, chunks: readonly Chunk[]): AsyncGenerator<Uint8Array> {
    for (const chunk of chunks) {
      // Only the object of the first chunk is added to.
      const start = chunk.uuid === chunks[0]?.uuid ? chunk.offset : 0;
      yield* await this.#driver.read(this.dataKey(id, chunk), { start, end: start + chunk.size });
    }
  }

  /** Makes the upload one that is over for all processes; its chunks are still there. */
  async cancel(id: UploadId): Promise<void> {
    await this.#documents.write(uploadCancelledKey(id), "");
  }

  /** Deletes all chunks. First their places: what is left of a broken removal is then no upload. */
  async remove(id: UploadId): Promise<void> {
    const cancelled = uploadCancelledKey(id);
    const keys: string[] = [];
    for await (const { key } of this.#driver.list(uploadPrefix(id))) if (key !== cancelled) keys.push(key);
    for (const key of keys) await this.#driver.delete(key);
  }

  /** Chunks, best candidate of each place first: the one that was there first, as far as clocks can tell. */
  async #listed(id: UploadId): Promise<{ readonly candidates: readonly Chunk[]; readonly isCancelled: boolean }> {
    const found: { readonly chunk: Chunk; readonly modified: number }[] = [];
    const data = uploadDataKey(id, "");
    let isCancelled = false;
    for await (const { key, modified } of this.#driver.list(uploadPrefix(id))) {
      if (key.startsWith(data)) break;
      const chunk = parseChunk(key.slice(key.lastIndexOf("/") + 1));
      if (chunk) found.push({ chunk, modified: modified.getTime() });
      else isCancelled ||= key === uploadCancelledKey(id);
    }
    found.sort((a, b) => a.chunk.offset - b.chunk.offset || a.modified - b.modified || compare(a.chunk, b.chunk));
    return { candidates: found.map(({ chunk }) => chunk), isCancelled };
  }
}

async function* nothing(): AsyncGenerator<Uint8Array> {
  // Yields nothing.
}

/** The chunks that follow each other from the start on. */
function chain(candidates: readonly Chunk[]): readonly Chunk[] {
  const chunks: Chunk[] = [];
  let size = 0;
  for (const chunk of candidates) {
    if (chunk.offset !== size) continue;
    chunks.push(chunk);
    size += chunk.size;
  }
  return chunks;
}

function compare(a: Chunk, b: Chunk): number {
  return a.uuid < b.uuid ? -1 : 1;
}

const chunkForm = /^(\d+)-(\d+)-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:-(\w+)-(\w+))?$/;
const digits = String(Number.MAX_SAFE_INTEGER).length;

function chunkText({ offset, size, uuid, digest }: Chunk): string {
  const place = `${String(offset).padStart(digits, "0")}-${size}-${uuid}`;
  return digest === undefined ? place : `${place}-${digest.replace(":", "-")}`;
}

function parseChunk(text: string): Chunk | undefined {
  const [, offset, size, uuid, algorithm, hex] = chunkForm.exec(text) ?? [];
  if (offset === undefined || size === undefined || uuid === undefined) return undefined;
  const digest = `${algorithm ?? ""}:${hex ?? ""}`;
  return { offset: Number(offset), size: Number(size), uuid, digest: isDigest(digest) ? digest : undefined };
}
