import type { Place } from "../stores/store.ts";

/** A registry that is measured. */
export interface Contestant {
  readonly name: string;
  readonly speaksV1: boolean;
  /** Starts it over an empty store below `folder`; resolves when it has answered. One that runs elsewhere is only asked. */
  start(folder: string, options?: StartOptions): Promise<Server>;
}

/** How a contestant is started for some workloads. */
export interface StartOptions {
  /** A proxy in front sends blobs by itself, where the contestant can let it. */
  readonly offload?: boolean;
  /** Options of its flavor that keep its images elsewhere than on local disk; only registryctl takes them. */
  readonly storage?: Readonly<Record<string, unknown>>;
  /** Clients have to log in, and only this one can; X-Forwarded-For of this machine is believed. Only registryctl takes it. */
  readonly account?: Account;
}

/** Who can log in. Both are written as in URLs: without characters that have a meaning there. */
export interface Account {
  readonly name: string;
  readonly password: string;
}

/** A contestant that runs. */
export interface Server {
  /** With the name and password of the account, where there is one. */
  readonly url: string;
  /** The processes that its CPU and memory are counted for, with their descendants; none when it runs elsewhere. */
  readonly pids: readonly number[];
  /** Milliseconds from its start to its first answer. */
  readonly readyAfter: number;
  /** The configuration of nginx in front of it (registryctl's own), when it has one. */
  readonly configFile?: string;
  /** Where in an object store it keeps everything. */
  readonly place?: Place;
  stop(): Promise<void>;
}
