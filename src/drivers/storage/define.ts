import type { z } from "zod";
import type { Claim, Member } from "./claim.ts";
import type { StorageDriver } from "./driver.ts";

/** What a driver's file exports: all that configuration, documentation and the server need to know of it. */
export interface StorageDefinition {
  /** The value of `storage`. */
  readonly name: string;
  /** Other values of `storage` that mean the same. */
  readonly aliases: readonly string[];
  /** One sentence for the operator who chooses. */
  readonly summary: string;
  readonly features: StorageDriver["features"];
  /** The driver's settings, by the names they have in the configuration file. */
  readonly options: z.ZodObject;
  /**
   * Opens the store. `settings` may hold other parts' settings too; rejects with a `ZodError` when its own are wrong.
   */
  open(settings: unknown): Promise<StorageDriver>;
  /** As `open`, for one who only reads: changes nothing in the store. Absent where `open` itself doesn't. */
  readonly openToRead?: (settings: unknown) => Promise<StorageDriver>;
  /**
   * Claims the store for a process, before it opens it. Absent where nobody could tell who else changes the store.
   * Rejects only with a `ZodError`.
   */
  readonly claim?: (settings: unknown, member: Member) => Promise<Claim>;
}

/**
 * Makes a definition whose `open` and `claim` get settings that its own schema has parsed. Without `features` its drivers
 * have none.
 */
export function defineStorage<Options extends z.ZodObject>(
  definition: Pick<StorageDefinition, "name" | "summary"> & {
    readonly aliases?: StorageDefinition["aliases"];
    readonly features?: StorageDefinition["features"];
    readonly options: Options;
    readonly open: (options: z.output<Options>) => Promise<StorageDriver>;
    readonly openToRead?: (options: z.output<Options>) => Promise<StorageDriver>;
    readonly claim?: (options: z.output<Options>, member: Member) => Promise<Claim>;
  },
): StorageDefinition {
  const { claim, openToRead, ...others } = definition;
  return {
    aliases: [],
    features: { redirect: false, localFiles: false },
    ...others,
    open: async (settings) => await definition.open(definition.options.parse(settings)),
    ...(openToRead && { openToRead: async (settings) => await openToRead(definition.options.parse(settings)) }),
    ...(claim && { claim: async (settings, member) => await claim(definition.options.parse(settings), member) }),
  };
}
