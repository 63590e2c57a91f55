/** A failure that is ours, not the client's, with what is safe to tell about the request that met it. */
export interface Fault {
  readonly error: Error;
  readonly time: Date;
  /** Flavor, version and host of the server that failed. */
  readonly server: { readonly version: string; readonly flavor: string; readonly host: string };
  readonly request?: {
    readonly id: string;
    readonly method: string;
    /** Without the query string. */
    readonly path: string;
    readonly remoteAddress: string;
    readonly userAgent: string;
    /** What the client was answered; absent when that is not known. */
    readonly status?: number;
  };
}

/** Tells somebody of faults. `report` returns at once and never throws: what cannot be sent is counted and logged. */
export interface Reporter {
  readonly name: string;
  report(fault: Fault): void;
  /** Waits for what is being sent, at most a few seconds. */
  close(): Promise<void>;
}
