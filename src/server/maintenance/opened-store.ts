import { randomUUID } from "node:crypto";
import { availableParallelism } from "node:os";
import { checked } from "../../drivers/storage/checked.ts";
import { alone } from "../../drivers/storage/coherence.ts";
import type { StorageDriver } from "../../drivers/storage/driver.ts";
import { findStorage } from "../../drivers/storage/index.ts";
import { limited } from "../../drivers/storage/limited.ts";
import { readOnly } from "../../drivers/storage/read-only.ts";
import { retried } from "../../drivers/storage/retried.ts";
import { coherenceOf } from "../coherence.ts";
import type { Settings } from "../config/schema.ts";
import { createLog } from "../log.ts";
import { Events } from "../registry/events.ts";
import { LayerAnalysis } from "../registry/layers/analysis.ts";
import { createRegistry, type Registry } from "../registry/registry.ts";
import { openStore } from "../store.ts";

/** A store with the core over it, for a command. */
export interface OpenedStore {
  readonly driver: StorageDriver;
  readonly registry: Registry;
  readonly analysis: LayerAnalysis;
  close(): Promise<void>;
}

/** How a command opens a store. */
export interface OpenOptions {
  /** To `read`, nothing in it is changed; to `write`, the command is a member of the store as a server is. */
  readonly access: "read" | "write";
  /** Ends what is read of layers, in the middle of it, and a while later whatever still waits for the storage. */
  readonly signal: AbortSignal;
  /** How long that while is, in milliseconds. */
  readonly grace?: number;
  /** Told what the operator should know. */
  readonly warn: (message: string) => void;
}

/** What is under way may end in order; a storage that has stopped answering would be waited for for many minutes. */
const usualGrace = 5_000;

/** So many operations are asked of a storage at once. */
const atOnce = 128;

/**
 * Opens the storage that `settings` name. Beside a running server, that one stops remembering what a writer may change.
 * Rejects with a `DriverError` when the storage can't be used.
 */
export async function openWhole(settings: Settings, options: OpenOptions): Promise<OpenedStore> {
  const store = options.access === "read" ? await openToRead(settings) : await openToWrite(settings, options.warn);
  const analysis = new LayerAnalysis({ workers: Math.min(4, availableParallelism()) });
  const { signal, grace = usualGrace } = options;
  let cutting: NodeJS.Timeout | undefined;
  const stop = (): void => {
    void analysis.close();
    cutting = setTimeout(() => {
      // What fails of it fails again when the store is closed.
      store.driver.close().catch(() => undefined);
    }, grace);
  };
  if (signal.aborted) stop();
  signal.addEventListener("abort", stop);
  const registry = createRegistry({
    driver: store.driver,
    // What listens to events is a server's.
    events: new Events(() => undefined),
    analysis,
    limits: { maxSize: 0, maxAge: 24 },
    v1Platform: settings.v1_platform,
  });
  return {
    driver: store.driver,
    registry,
    analysis,
    close: async () => {
      signal.removeEventListener("abort", stop);
      clearTimeout(cutting);
      await Promise.all([registry.bridge.close(), analysis.close()]);
      await store.close();
    },
  };
}

interface Opened {
  readonly driver: StorageDriver;
  close(): Promise<void>;
}

async function openToRead(settings: Settings): Promise<Opened> {
  const definition = findStorage(settings.storage);
  if (!definition) throw new Error(`There is no storage ${settings.storage}`);
  const opened = definition.openToRead ? definition.openToRead(settings) : definition.open(settings);
  const driver = checked(readOnly(limited(retried(await opened), { atOnce })));
  return {
    driver,
    close: async () => {
      await driver.close();
    },
  };
}

async function openToWrite(settings: Settings, warn: (message: string) => void): Promise<Opened> {
  const log = createLog({
    level: "warn",
    readable: true,
    destination: {
      write: (line) => {
        warn(line.trim());
      },
    },
  });
  const claim = await findStorage(settings.storage)?.claim?.(settings, { group: randomUUID(), slot: 0 });
  try {
    const store = await openStore(settings, log, { coherence: coherenceOf(claim, alone) });
    return {
      driver: store.driver,
      close: async () => {
        await store.close();
        await claim?.release();
      },
    };
  } catch (error) {
    await claim?.release();
    throw error;
  }
}
