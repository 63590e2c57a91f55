import type { StorageDriver } from "../../drivers/storage/driver.ts";
import { openSearchIndex } from "../../drivers/search/index.ts";
import type { Settings } from "../config/schema.ts";
import { searchEntries } from "../events/search.ts";
import { Blobs } from "../registry/blobs.ts";
import { Adoption } from "../registry/bridge/adoption.ts";
import type { AdoptionCounts } from "../registry/bridge/adoption-run.ts";
import { ImageChecks } from "../registry/bridge/image-check.ts";
import type { Problem } from "../registry/bridge/problems.ts";
import { BridgeRecords } from "../registry/bridge/records.ts";
import { V1Walk } from "../registry/bridge/v1-walk.ts";
import { Documents } from "../registry/documents.ts";
import { Images } from "../registry/images.ts";
import { OciCheck, type OciCounts } from "../registry/oci-check.ts";
import { imagesPrefix, ociRepositoriesPrefix, repositoriesPrefix } from "../registry/paths.ts";
import { openWhole, type OpenedStore } from "./opened-store.ts";

/** How a store is adopted, and who is told of it meanwhile. */
export interface AdoptOptions {
  /** Prepares the tags of V1 for V2 and fills the search index; otherwise nothing is changed. */
  readonly write: boolean;
  /** Without `write`: reads no layers of V1, and so finds fewer problems. */
  readonly quick: boolean;
  /** Reads and hashes the blobs of V2 too. */
  readonly verify: boolean;
  /** Ends it at once and in order; what was done stays done. */
  readonly signal: AbortSignal;
  /** From which modules of search indexes are looked up. */
  readonly folder: string;
  readonly warn: (message: string) => void;
  readonly onProblem: (problem: Problem) => void;
  /** Told what is to be done with each protocol's part, and then of each step of that. */
  readonly onPlan: (plan: { readonly part: "v1" | "v2"; readonly bytes: number; readonly tags: number }) => void;
  readonly onStep: (step: { readonly bytes?: number; readonly tags?: number }) => void;
}

/** What an adoption came to; a protocol that the store has nothing of is undefined. */
export interface AdoptReport {
  readonly v1: AdoptionCounts | undefined;
  readonly v2: OciCounts | undefined;
  /** Repositories that were added to the search index; undefined when none is configured, or nothing was to be written. */
  readonly indexed: number | undefined;
}

/**
 * Looks through the store that `settings` name, and prepares what V1 has in it for V2. Rejects as the storage does, or
 * with the signal's reason; when it is called again it goes on where it stopped.
 */
export async function adoptStore(settings: Settings, options: AdoptOptions): Promise<AdoptReport> {
  const { write, signal, warn } = options;
  const store = await openWhole(settings, { access: write ? "write" : "read", signal, warn });
  try {
    const v1 = await ofV1(store, options);
    const v2 = await ofV2(store, options);
    return { v1, v2, indexed: write ? await fillIndex(settings, store, options) : undefined };
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    await store.close();
  }
}

async function ofV1(
  { driver, registry, analysis }: OpenedStore,
  options: AdoptOptions,
): Promise<AdoptionCounts | undefined> {
  if (!(await hasAny(driver, repositoriesPrefix)) && !(await hasAny(driver, imagesPrefix))) return undefined;
  const { own, blobs, layerFacts, bridge } = registry;
  const documents = new Documents(driver);
  const images = new Images(driver, documents);
  const records = new BridgeRecords(documents);
  const checks = new ImageChecks({ driver, documents, blobs, images, layerFacts, records, analysis });
  const walk = new V1Walk({ documents, images, tags: own.tags });
  const adoption = new Adoption({ ...own, driver, walk, images, bridge, checks, records });
  const { write, quick, onPlan } = options;
  return await adoption.run({
    ...options,
    depth: write ? "adopt" : quick ? "documents" : "layers",
    onPlan: (plan) => {
      onPlan({ part: "v1", ...plan });
    },
  });
}

async function ofV2({ driver, registry }: OpenedStore, options: AdoptOptions): Promise<OciCounts | undefined> {
  if (!(await hasAny(driver, ociRepositoriesPrefix))) return undefined;
  const check = new OciCheck({ ...registry.own, documents: new Documents(driver), blobs: new Blobs(driver) });
  return await check.run({
    ...options,
    onPlan: (plan) => {
      options.onPlan({ part: "v2", ...plan });
    },
  });
}

async function fillIndex(
  settings: Settings,
  { registry }: OpenedStore,
  { signal, folder }: AdoptOptions,
): Promise<number | undefined> {
  if (!settings.search_backend) return undefined;
  const databaseUrl = settings.sqlalchemy_index_database;
  const search = await openSearchIndex({ backend: settings.search_backend, databaseUrl, folder });
  try {
    return await search.fill(() => searchEntries(registry, () => signal.aborted));
  } finally {
    await search.close();
  }
}

async function hasAny(driver: StorageDriver, prefix: string): Promise<boolean> {
  for await (const name of driver.children(prefix)) return name !== "";
  return false;
}
