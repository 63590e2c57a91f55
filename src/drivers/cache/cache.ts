/**
 * A shared place for copies of small values whose truth is elsewhere; it may forget at any time. It is made so that a
 * copy is never older than the truth, whoever reads and changes at the same time, in any number of processes:
 *
 * - Who reads and finds nothing gets a *lease*, and fills the cache with what the truth was then. A change in between
 *   revokes the lease, so an old value that comes late is dropped.
 * - Who changes the truth says so before and after. From the first to the second nobody gets a lease, so while the
 *   truth is uncertain it is read from its source. The second revokes whatever was leased or filled meanwhile, and
 *   leaves the new value only if no other change came between: of two at the same time nobody here knows which was the
 *   last.
 *
 * No method rejects because the cache is out of reach: it then knows nothing and keeps nothing.
 */
export interface Cache {
  readonly name: string;
  read(key: string): Promise<CacheAnswer>;
  /** Call it before the truth changes; the copy is gone when it resolves. */
  change(key: string): Promise<CacheChange>;
  /** Rejects with the reason when the cache does not answer. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

/**
 * The copy; or, when there is none, perhaps the lease to make one: `fill` with what the truth is when it is read after
 * this answer.
 */
export interface CacheAnswer {
  readonly value?: Uint8Array;
  readonly fill?: (value: Uint8Array) => Promise<void>;
}

/** A change that has been announced. */
export interface CacheChange {
  /** Call it after the truth has changed, or may have; with the new value where it is known. */
  done(value?: Uint8Array): Promise<void>;
}
