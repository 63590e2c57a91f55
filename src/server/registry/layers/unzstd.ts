import { ZSTDDecoder } from "zstddec/stream";
import { unsupported } from "./unsupported.ts";

/**
 * Unpacks zstd: frames one after the other, with frames to skip before, between and behind them. Checksums are verified.
 * Takes as much memory as the window of its largest frame; a window of more than 128 MiB is refused, as `zstd -d` does.
 */
export async function* unzstd(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const stream = new Stream(await library());
  try {
    let isWhole = true;
    for await (const chunk of source) {
      for (let start = 0; start < chunk.length; start += pieceLength) {
        stream.take(chunk.subarray(start, start + pieceLength));
        do {
          const { unpacked, left } = stream.step();
          isWhole = left === 0;
          if (unpacked.length > 0) yield unpacked;
        } while (stream.hasMore);
      }
    }
    if (!isWhole) throw new Error("the data ends early");
  } finally {
    stream.close();
  }
}

const pieceLength = 64 * 1024;

/** The functions of libzstd; pointers and sizes have 32 bits. */
interface Library {
  /** Has another buffer when it has grown. */
  readonly memory: { readonly buffer: ArrayBuffer };
  readonly malloc: (size: number) => number;
  readonly free: (pointer: number) => void;
  readonly ZSTD_createDCtx: () => number;
  readonly ZSTD_freeDCtx: (context: number) => number;
  readonly ZSTD_decompressStream: (context: number, output: number, input: number) => number;
}

let loading: Promise<Library> | undefined;

/** The package's own loop takes no asynchronous source and goes on for ever on damaged data: only its library is used. */
async function library(): Promise<Library> {
  loading ??= new Promise((resolve, reject) => {
    class Loader extends ZSTDDecoder {
      override _init(loaded: { readonly instance: { readonly exports: Exports } }): void {
        super._init(loaded);
        resolve(parseLibrary(loaded.instance.exports));
      }
    }
    new Loader().init().catch(reject);
  });
  return await loading;
}

type Exports = Readonly<Record<string, unknown>>;

function parseLibrary({ memory, ...exports }: Exports): Library {
  const parsed = (name: string) => {
    const found = exports[name];
    if (!isFunction(found)) throw new Error(`zstddec has no function ${name}`);
    return found;
  };
  if (!isMemory(memory)) throw new Error("zstddec has no memory");
  return {
    memory,
    malloc: parsed("malloc"),
    free: parsed("free"),
    ZSTD_createDCtx: parsed("ZSTD_createDCtx"),
    ZSTD_freeDCtx: parsed("ZSTD_freeDCtx"),
    ZSTD_decompressStream: parsed("ZSTD_decompressStream"),
  };
}

/** What WebAssembly exports takes numbers and answers one. */
function isFunction(value: unknown): value is (...args: readonly number[]) => number {
  return typeof value === "function";
}

function isMemory(value: unknown): value is Library["memory"] {
  return typeof value === "object" && value !== null && "buffer" in value && value.buffer instanceof ArrayBuffer;
}

/** One decompression, with its memory in the library's. */
class Stream {
  readonly #library: Library;
  readonly #context: number;
  /** `{ pointer, size, position }` of what is to be unpacked, the same of what has been, and their bytes. */
  readonly #input: number;
  readonly #output: number;
  readonly #packed: number;
  readonly #unpacked: number;
  #more = false;

  constructor(library: Library) {
    this.#library = library;
    this.#context = library.ZSTD_createDCtx();
    this.#input = library.malloc(2 * 12 + 2 * pieceLength);
    if (this.#context === 0 || this.#input === 0) throw new Error("there is no memory left to unpack zstd");
    this.#output = this.#input + 12;
    this.#packed = this.#output + 12;
    this.#unpacked = this.#packed + pieceLength;
  }

  /** Whether `step` may have more to say before it needs more. */
  get hasMore(): boolean {
    return this.#more;
  }

  /** Gives the next bytes, 64 KiB at most. */
  take(bytes: Uint8Array): void {
    new Uint8Array(this.#library.memory.buffer, this.#packed, bytes.length).set(bytes);
    this.#describe(this.#input, this.#packed, bytes.length);
  }

  /** Unpacks 64 KiB at most; `left` is 0 when a frame has just ended. */
  step(): { readonly unpacked: Uint8Array; readonly left: number } {
    this.#describe(this.#output, this.#unpacked, pieceLength);
    const left = this.#library.ZSTD_decompressStream(this.#context, this.#output, this.#input);
    if (left < 0 && left >= -mostErrors) throw failure(-left);
    const length = this.#position(this.#output);
    const isFull = length === pieceLength;
    const isTaken = this.#position(this.#input) === this.#view().getUint32(this.#input + 4, true);
    // A frame that has ended has nothing more in it, and a step without input would begin another.
    this.#more = !isTaken || (isFull && left !== 0);
    return {
      unpacked: new Uint8Array(this.#library.memory.buffer.slice(this.#unpacked, this.#unpacked + length)),
      left,
    };
  }

  close(): void {
    this.#library.ZSTD_freeDCtx(this.#context);
    this.#library.free(this.#input);
  }

  #describe(buffer: number, pointer: number, size: number): void {
    const view = this.#view();
    view.setUint32(buffer, pointer, true);
    view.setUint32(buffer + 4, size, true);
    view.setUint32(buffer + 8, 0, true);
  }

  #position(buffer: number): number {
    return this.#view().getUint32(buffer + 8, true);
  }

  #view(): DataView {
    return new DataView(this.#library.memory.buffer);
  }
}

/** Sizes close to the largest number are errors. */
const mostErrors = 120;
const windowTooLarge = 16;

function failure(code: number): Error {
  if (code === windowTooLarge) return unsupported("its zstd window is larger than 128 MiB");
  return new Error(`libzstd's error ${code}`);
}
