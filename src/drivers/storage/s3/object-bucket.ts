import type { Readable } from "node:stream";
import type { ByteRange, RedirectOptions, Stat } from "../driver.ts";
import type { DriverError } from "../errors.ts";
import type { Page, PageRequest } from "./page.ts";
import type { PartMemory } from "./part-memory.ts";

/** What a driver's requests depend on beside what the operator says; tests choose other values. */
export interface Tuning {
  /** Bytes of a part of an upload, at first. */
  readonly partSize: number;
  /** So many parts an object has at most, where that is not 10,000. */
  readonly mostParts?: number;
  /** Bytes that all uploads together should hold; each holds one part at least. */
  readonly memory: number;
  /** The largest object that is copied by one request, and the size of the parts of larger ones. */
  readonly copyLimit: number;
  readonly copyPart: number;
  /** Entries asked for by one listing. */
  readonly pageSize: number;
  /** Milliseconds without a byte after which a request has failed. */
  readonly idle: number;
  /** Tries in all, and milliseconds before the second at most; each later wait may be twice as long. */
  readonly attempts: number;
  readonly delay: number;
}

/** The bytes of an object, or of a part of it, and the status of the answer that they come with. */
export type Content = Readable & { readonly statusCode?: number | undefined };

/** What is known of an object from the headers of an answer. */
export interface Head extends Stat {
  /** Another one when it is another object; empty where the server doesn't say. */
  readonly etag: string;
}

/** An object that is made of parts: there is nothing to see of it until `complete`. Numbers of parts begin with 1. */
export interface PartUpload {
  /** Stores `content` as that part. It is needed until this resolves. */
  put(part: number, content: Buffer): Promise<void>;
  /** Makes the object of all parts, which are `size` bytes. */
  complete(size: number): Promise<Stat>;
  /** Takes back all that was stored, as far as the server can be reached. Never rejects. */
  abort(): Promise<void>;
}

/**
 * What a server does with the objects of one bucket, or of a part of it, by the caller's keys. Everything that is asked
 * of the server goes through here. Rejects with a `DriverError`, after trying again what may be tried again.
 */
export interface ObjectBucket {
  readonly tuning: Tuning;
  /** Answers as soon as the headers are there; the caller takes the body. With `same`, only if that still is its etag. */
  get(key: string, range?: ByteRange, same?: string): Promise<{ readonly response: Content; readonly head: Head }>;
  head(key: string): Promise<Head>;
  /** Stores an object by one request. */
  put(key: string, content: Buffer): Promise<Stat>;
  begin(key: string): Promise<PartUpload>;
  /** Where an upload has a way of its own, else it is `put` or goes by parts that are sent when they have come. */
  write?(key: string, source: AsyncIterable<Uint8Array>, memory: PartMemory, size?: number): Promise<Stat>;
  page(request: PageRequest): Promise<Page>;
  /**
   * Copies within the server. Onto itself it changes nothing, but it has to exist. Answers false, and has done nothing,
   * where the server can't copy what is so large.
   */
  copy(from: string, to: string): Promise<boolean>;
  /** Where some objects can have another key without a copy: answers false, and has done nothing, for all others. */
  move?(from: string, to: string): Promise<boolean>;
  /** Rejects with NOT_FOUND where the server says so. `persistent` tries again after any passing failure. */
  remove(key: string, persistent: boolean): Promise<void>;
  signedUrl(key: string, options: RedirectOptions): Promise<URL | undefined>;
  /** Takes back what killed processes left; that is invisible, but paid for. */
  removeLeftovers(): Promise<unknown>;
  /** What a failure in the middle of a body means. */
  fault(error: unknown, key: string): DriverError;
  /** Cuts all connections, and lets nobody make new ones. */
  close(): void;
}
