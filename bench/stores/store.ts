import type { Load, LoadResult } from "../load/load.ts";
import type { Moved } from "../load/downloads.ts";
import type { Counted } from "../load/small-pushes.ts";

/** A kind of server that registryctl can keep its images in. */
export interface Store {
  readonly name: "s3" | "gcs" | "gcs-curl" | "swift" | "glance";
  /** What titles call it. */
  readonly title: string;
  /** What uses the same server without a registry, and is the peer there. */
  readonly client: string;
  /** What has to be installed for it, and is not. */
  missing(): readonly string[];
  /** Starts a server of the run's own. */
  launch(): Promise<StoreServer>;
}

/** A server that runs. */
export interface StoreServer {
  readonly url: string;
  /** A place for objects that nobody else uses; files of its client go to `folder`. */
  newPlace(folder: string): Promise<Place>;
  stop(): Promise<void>;
}

/** A bucket, container or project, for registryctl or for the client alone. */
export interface Place {
  /** The options of a flavor that has registryctl keep its images there. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** Has the client store a new object; `load` is where it runs, unless it is a program of its own. */
  put(load: Load, size: number): Promise<Done<Moved & { readonly object: string }>>;
  /** Has the client read the object one time after the other, and throw it away. */
  get(
    load: Load,
    what: { readonly object: string; readonly times: number; readonly length: number },
  ): Promise<Done<Moved>>;
  /** Has the client store many new objects. */
  putMany?(load: Load, what: Many): Promise<Done<Counted>>;
  /** Removes all objects: what is measured next has the room that the first had. */
  empty(): Promise<void>;
}

/** What the client did, and the CPU that it needed where that is known. */
export type Done<T> = Pick<LoadResult<T>, "result"> & Partial<Pick<LoadResult<T>, "cpuSeconds">>;

/** So many objects, several at a time. */
export interface Many {
  readonly count: number;
  readonly size: number;
  readonly connections: number;
}
