import { randomUUID } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import { isNotFound } from "../../drivers/storage/errors.ts";
import { openSearchIndex } from "../../drivers/search/index.ts";
import { findStorage } from "../../drivers/storage/index.ts";
import { settingsOf, type Settings } from "../config/schema.ts";
import { searchEntries } from "../events/search.ts";
import type { Problem } from "../registry/bridge/problems.ts";
import { probeKey } from "../registry/paths.ts";
import type { CopyCounts } from "./copy/counts.ts";
import type { CopyParts } from "./copy/parts.ts";
import { copyAll, type RunOptions } from "./copy/run.ts";
import { everything, named } from "./copy/selection.ts";
import { sideOf, type Side } from "./copy/side.ts";
import { CountingSink, StoringSink } from "./copy/sink.ts";
import { openWhole, type OpenedStore } from "./opened-store.ts";

/** How a store is copied, and who is told of it meanwhile. */
export interface CopyOptions extends Pick<RunOptions, "keepTags" | "verify" | "signal"> {
  /** Those to copy, as clients spell them, `*` for any characters; undefined is all, and images of V1 without a tag. */
  readonly repositories: readonly string[] | undefined;
  /** So much content is copied at the same time. */
  readonly jobs: number;
  /** Only tells what would be done; what is damaged is not found then. */
  readonly dryRun: boolean;
  /** From which modules of search indexes are looked up. */
  readonly folder: string;
  readonly warn: (message: string) => void;
  readonly onProblem: (problem: Problem) => void;
  /** Told how much there is to do, which takes a pass of its own: nobody who doesn't want to know has to wait for it. */
  readonly onPlan?: (plan: { readonly bytes: number; readonly tags: number }) => void;
  readonly onStep: (step: { readonly bytes?: number; readonly tags?: number }) => void;
  /** Milliseconds that what is under way may take to end once the signal is given. */
  readonly grace?: number;
}

/** How a store, or a thing in it, is called in messages. */
export type StoreRole = "source" | "target";

/** One of the two stores can't be used. */
export class StoreFailure extends Error {
  override readonly name = "StoreFailure";
  readonly role: StoreRole;

  constructor(role: StoreRole, cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
    this.role = role;
  }
}

/**
 * Copies what one store has to another, while servers work on both; nothing of the source is changed, and what the target
 * has besides stays. What is there already is not copied again, so that a copy that was cut short goes on where it stopped,
 * and a later one brings what is new. Rejects as the storages do, or with the signal's reason.
 */
export async function copyStore(from: Settings, to: Settings, options: CopyOptions): Promise<CopyCounts> {
  const { dryRun, signal } = options;
  if (isDeepStrictEqual(placeOf(from), placeOf(to))) throw sameStore();
  const source = await blaming("source", async () => await openWhole(from, { ...options, access: "read" }));
  try {
    const target = await blaming("target", async () => await openTarget(to, options));
    try {
      const sides = { from: sideOf(source), to: sideOf(target), analysis: target.analysis };
      if (!dryRun) await requireOther(sides.from, sides.to);
      return await copySides(sides, await indexOf(to, target, options), options);
    } finally {
      await target.close();
    }
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    await source.close();
  }
}

async function copySides(
  sides: Pick<CopyParts, "from" | "to" | "analysis">,
  index: TargetIndex,
  options: CopyOptions,
): Promise<CopyCounts> {
  const { repositories, signal, dryRun, onPlan, onStep, onProblem } = options;
  try {
    const selection = await blaming("source", async () =>
      repositories ? await named(sides.from, repositories) : everything(sides.from),
    );
    const silent = { ...options, onProblem: () => undefined, onTag: () => undefined, onChanged: nothing };
    if (dryRun) {
      const sink = new CountingSink({ signal, onBytes: () => undefined });
      return await copyAll({ ...sides, sink }, selection, { ...silent, onProblem });
    }
    if (onPlan) {
      const plan = { bytes: 0, tags: 0 };
      const sink = new CountingSink({ signal, onBytes: (bytes) => (plan.bytes += bytes) });
      await copyAll({ ...sides, sink }, selection, { ...silent, onTag: () => plan.tags++ });
      onPlan(plan);
    }
    const sink = new StoringSink(sides.to.driver, {
      ...options,
      onBytes: (bytes) => {
        onStep({ bytes });
      },
    });
    return await copyAll({ ...sides, sink }, selection, {
      ...options,
      onTag: () => {
        onStep({ tags: 1 });
      },
      onChanged: index.put,
    });
  } finally {
    await index.close();
  }
}

/** The search index of the target, which a server keeps by what is pushed to it. */
interface TargetIndex {
  readonly put: (repository: string) => Promise<void>;
  close(): Promise<void>;
}

async function indexOf(to: Settings, { registry }: OpenedStore, options: CopyOptions): Promise<TargetIndex> {
  if (!to.search_backend || options.dryRun) return { put: nothing, close: nothing };
  const { signal, folder } = options;
  const databaseUrl = to.sqlalchemy_index_database;
  const search = await openSearchIndex({ backend: to.search_backend, databaseUrl, folder });
  return {
    put: async (repository) => {
      const { listed } = await registry.catalog.listing(repository);
      await search.put({ name: listed, description: "" });
    },
    close: async () => {
      try {
        if (!signal.aborted) await search.fill(() => searchEntries(registry, () => signal.aborted));
      } finally {
        await search.close();
      }
    },
  };
}

async function nothing(): Promise<void> {
  await Promise.resolve();
}

/** For a dry run it is only read; a local folder that is still to be made is an empty store then. */
async function openTarget(settings: Settings, options: CopyOptions): Promise<OpenedStore> {
  if (!options.dryRun) return await openWhole(settings, { ...options, access: "write" });
  try {
    return await openWhole(settings, { ...options, access: "read" });
  } catch (error) {
    if (!isNotFound(error)) throw error;
    return await openWhole(settingsOf({ storage: "memory" }), { ...options, access: "read" });
  }
}

async function blaming<T>(role: StoreRole, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw new StoreFailure(role, error);
  }
}

/** What the driver is told of the place. */
function placeOf(settings: Settings): unknown {
  const definition = findStorage(settings.storage);
  return definition && [definition.name, definition.options.parse(settings)];
}

/** Two names may lead to one place: what is written to the target must not be seen in the source. */
async function requireOther(from: Side, to: Side): Promise<void> {
  const key = probeKey("copy");
  const content = randomUUID();
  const { documents } = to;
  await blaming("target", async () => {
    await documents.write(key, content);
  });
  try {
    const found = await blaming("source", async () => await from.documents.read(key));
    if (found?.toString() === content) throw sameStore();
  } finally {
    await blaming("target", async () => await documents.delete(key));
  }
}

function sameStore(): Error {
  return new Error("both keep their images in the same place: there is nothing to copy");
}
