import type { Readable } from "node:stream";

/** Half-open: `end` is the first byte not wanted; without it, to the end of the object. */
export interface ByteRange {
  readonly start: number;
  readonly end?: number;
}

/** What is known of an object without reading it; `size` in bytes. */
export interface Stat {
  readonly size: number;
  readonly modified: Date;
}

/** An object as `list` yields it; `key` is whole, not relative to the prefix. */
export interface Entry extends Stat {
  readonly key: string;
}

/** How a redirect URL should behave: for how many seconds it works and what it says the content is. */
export interface RedirectOptions {
  readonly seconds: number;
  readonly contentType?: string;
}

/** See `StorageDriver.append`. */
export type Append = (key: string, size: number, source: AsyncIterable<Uint8Array>) => Promise<void>;

/** An object that is in memory as a whole. */
export interface SmallObject {
  readonly key: string;
  readonly bytes: Uint8Array;
}

/** See `StorageDriver.writeInSteps`. */
export type WriteInSteps = (steps: readonly (readonly SmallObject[])[]) => Promise<readonly Stat[]>;

/**
 * A place for objects. A key is components joined by `/`; no component is empty, `.` or `..`. Drivers may rely on
 * that: `checked` has looked. Methods may run at the same time, also on the same key; the last write to finish wins.
 * Every rejection that is the backend's is a `DriverError`.
 */
export interface StorageDriver {
  readonly name: string;
  readonly features: {
    /** `redirectUrl` may answer a URL. */
    readonly redirect: boolean;
    /** `localPath` may answer a path that a front end on this machine can read. */
    readonly localFiles: boolean;
  };
  /** Opens the object. Fails with NOT_FOUND or INVALID_RANGE before the first byte, never after it. */
  read(key: string, range?: ByteRange): Promise<Readable>;
  /**
   * Stores all that `source` yields, or nothing. Readers see the old object until this resolves; from then it is
   * durable. When `source` throws, the write rejects with that error and nothing is left behind.
   */
  write(key: string, source: AsyncIterable<Uint8Array>, size?: number): Promise<Stat>;
  /**
   * Only where a backend can write a part of an object: puts what `source` yields behind its first `size` bytes, instead
   * of what is there; 0 makes an object that is missing. Else it rejects with NOT_FOUND. It is no `write`: readers see
   * bytes as they come, those of a source that throws may stay behind the first `size`, and they outlive this process but
   * no power cut: what they are copied or linked to does. For an object that nobody else changes meanwhile, and that has
   * no link. A wrapper has it when what it wraps has it.
   */
  readonly append?: Append;
  /**
   * Only where it takes less waiting than one `write` after the other: stores small objects, those of each step when the
   * steps before are there. All are durable when this resolves, with what is known of them in their order; even after a power
   * cut, those of the last step are there only with all others. When it rejects, some steps may be stored, and a part
   * of the next. A wrapper has it when what it wraps has it.
   */
  readonly writeInSteps?: WriteInSteps;
  stat(key: string): Promise<Stat>;
  /**
   * Every object below `prefix` (whole components: `a` is no prefix of `ab/c`), in byte order of keys, from the
   * first beyond `after`. `""` is the whole store. No such prefix: nothing.
   */
  list(prefix: string, after?: string): AsyncIterable<Entry>;
  /** The names directly below `prefix` (objects and folders), each once, in byte order, from the first beyond `after`. */
  children(prefix: string, after?: string): AsyncIterable<string>;
  /** Afterwards `to` is what `from` was and `from` is gone. Atomic where the backend can rename. */
  move(from: string, to: string): Promise<void>;
  copy(from: string, to: string): Promise<void>;
  /**
   * As `copy`, but without a second copy of the content where the backend can share one. Whatever is done to either
   * object later leaves the other as it was; `append` may refuse with INVALID_KEY while they share it. For content that
   * nobody changes any more: a program of somebody else's that wrote into a file of a local store, instead of replacing
   * it, would change both. Writers of layers don't.
   */
  link(from: string, to: string): Promise<void>;
  /** Afterwards it is gone; that it wasn't there is fine. */
  delete(key: string): Promise<void>;
  /** A URL that lets its bearer GET the object for a while, or undefined. */
  redirectUrl(key: string, options: RedirectOptions): Promise<URL | undefined>;
  /** Where the object lies on this machine, or undefined; says nothing about whether it exists. */
  localPath(key: string): string | undefined;
  /** Cheap proof that the backend answers; rejects with the reason. */
  ping(): Promise<void>;
  close(): Promise<void>;
}
