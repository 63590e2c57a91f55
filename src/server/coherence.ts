import type { Claim } from "../drivers/storage/claim.ts";
import type { Coherence } from "../drivers/storage/coherence.ts";
import type { Log } from "./log.ts";

/** How a process reaches the others of its server. */
export type Companions = Pick<Coherence, "announce" | "listen">;

/**
 * The coherence of a process that has claimed its store, and of the others of its server. Everything is forgotten
 * whenever the claim stops or begins to be exclusive: a read that began before may end after. Without a claim nobody can
 * know who changes the store.
 */
export function coherenceOf(claim: Claim | undefined, companions: Companions): Coherence {
  const listeners: ((keys?: readonly string[]) => void)[] = [];
  claim?.onChange(() => {
    for (const forget of listeners) forget();
  });
  return {
    get isExclusive() {
      return claim?.isExclusive === true;
    },
    announce: async (keys) => {
      await companions.announce(keys);
    },
    listen: (forget) => {
      listeners.push(forget);
      companions.listen(forget);
    },
  };
}

/** Tells the operator what other servers on the same store cost, now and when they come or go. */
export function logOthers(claim: Claim, log: Log): void {
  const tell = (isExclusive: boolean): void => {
    if (isExclusive) log.info({}, "no other server works on this storage_path any more: names are remembered again");
    else log.warn({}, `another server works on this storage_path: ${consequence}`);
  };
  claim.onChange(tell);
  if (claim.obstacle !== undefined)
    log.info({ reason: claim.obstacle }, `others may use this storage_path: ${consequence}`);
  else if (!claim.isExclusive) tell(false);
}

const consequence = "names are read from the disk each time, which is slower but as right";
