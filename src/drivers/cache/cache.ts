/** A shared place for small values that may forget at any time. No method rejects because the cache is out of reach. */
export interface Cache {
  readonly name: string;
  /** The value, or undefined when it is not known (or the cache does not answer). */
  read(key: string): Promise<Uint8Array | undefined>;
  write(key: string, value: Uint8Array): Promise<void>;
  delete(key: string): Promise<void>;
  /** Rejects with the reason when the cache does not answer. */
  ping(): Promise<void>;
  close(): Promise<void>;
}
