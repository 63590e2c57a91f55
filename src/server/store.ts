import type { Context, Middleware } from "koa";
import { cached } from "../drivers/storage/cached.ts";
import { checked } from "../drivers/storage/checked.ts";
import { amongStrangers, type Coherence } from "../drivers/storage/coherence.ts";
import { DriverError, type DriverErrorCode } from "../drivers/storage/errors.ts";
import { findStorage } from "../drivers/storage/index.ts";
import { limited } from "../drivers/storage/limited.ts";
import { remembered, type RememberingStorage } from "../drivers/storage/remembered.ts";
import { retried } from "../drivers/storage/retried.ts";
import type { StorageDriver } from "../drivers/storage/driver.ts";
import type { Watch } from "../drivers/storage/watches.ts";
import type { Settings } from "./config/schema.ts";
import { RegistryError, type ErrorCode } from "./errors.ts";
import type { Log } from "./log.ts";
import type { CacheName, Metrics } from "./metrics/metrics.ts";

/** The storage that a flavor names, with everything around it that makes it safe and quick. */
export interface Store {
  readonly driver: RememberingStorage;
  /** Begins a watch over objects; one that is never valid where others may change them without our knowing. */
  readonly watch: () => Watch;
  /** Rejects when the cache does not answer; undefined without one. */
  readonly pingCache: (() => Promise<void>) | undefined;
  close(): Promise<void>;
}

/** What a store works with beside its settings. */
export interface StoreOptions {
  readonly coherence?: Coherence;
  /** Counts what the storage is asked for, and what is remembered of it. */
  readonly metrics?: Metrics | undefined;
}

/** So many operations are asked of a storage at once; more would only wait there instead of here. */
const atOnce = 128;

/**
 * Opens the storage and the cache before it; what is remembered in this process is as true as `coherence` allows. Rejects
 * with a `DriverError` when the storage can't be used.
 */
export async function openStore(settings: Settings, log: Log, options: StoreOptions = {}): Promise<Store> {
  const { coherence = amongStrangers, metrics } = options;
  const definition = findStorage(settings.storage);
  if (!definition) throw new Error(`There is no storage ${settings.storage}`);
  const counted = (opened: StorageDriver) => metrics?.storage(opened) ?? opened;
  const lookups = (name: CacheName) => (isHit: boolean) => metrics?.lookedUp(name, isHit);
  const storage = limited(retried(counted(await definition.open(settings))), { atOnce });
  const server = settings.cache_lru ?? settings.cache;
  // Loaded only where it is used: it takes 8 MB of memory.
  const cache =
    server &&
    (await import("../drivers/cache/redis.ts")).openRedis(server, {
      onState: (message) => {
        log.warn({ host: server.host, port: server.port }, message);
      },
    });
  const before = cache ? cached(storage, cache, { onLookup: lookups("redis") }) : storage;
  const driver = remembered(checked(before), coherence, { onLookup: lookups("memory") });
  return {
    driver,
    watch: () => driver.watch(),
    pingCache:
      cache &&
      (async () => {
        await cache.ping();
      }),
    close: async () => {
      await storage.close();
      await cache?.close();
    },
  };
}

/**
 * Tells clients of a storage that fails that they may come again, and `onFault` what the operator has to know. What a
 * missing object means, the core has said before.
 */
export function translateStorageErrors(onFault: (error: Error, ctx: Context) => void): Middleware {
  return async (ctx, next) => {
    try {
      await next();
    } catch (cause) {
      const code = cause instanceof DriverError ? told[cause.code] : undefined;
      if (!(cause instanceof DriverError) || code === undefined) throw cause;
      onFault(cause, ctx);
      throw new RegistryError(code, { cause });
    }
  };
}

const told: Partial<Record<DriverErrorCode, ErrorCode>> = {
  UNAVAILABLE: "STORAGE_UNAVAILABLE",
  REFUSED: "STORAGE_UNAVAILABLE",
  NO_SPACE: "STORAGE_FULL",
};
