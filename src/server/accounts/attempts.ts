import { LRUCache } from "lru-cache";
import { RegistryError } from "../errors.ts";

/** So many attempts at once, and then one in so many seconds. */
export interface Allowance {
  readonly burst: number;
  readonly seconds: number;
}

/** What may fail. Right passwords cost nothing. */
export interface Allowances {
  /** At one account, from one address. */
  readonly pair: Allowance;
  /** From one address, at accounts that it has never logged in to. */
  readonly address: Allowance;
  /** At one account, from all addresses that have never logged in to it. */
  readonly account: Allowance;
}

const usual: Allowances = {
  pair: { burst: 10, seconds: 5 },
  address: { burst: 50, seconds: 1 },
  account: { burst: 100, seconds: 1 },
};

/** So many are kept in mind of each; who is forgotten begins anew. */
const mostKept = 20_000;
const knownMilliseconds = 24 * 60 * 60 * 1000;

/** What came of an attempt: the password was right, or wrong, or nobody has looked. */
export type Outcome = "right" | "wrong" | "unseen";

/** An attempt to log in that is going on. It has been counted as one that fails. */
export interface Attempt {
  /** Whether this account has been logged in to from that address before. */
  readonly isKnown: boolean;
  /** To be called once. What was right, or was not looked at, does not count. */
  end(outcome: Outcome): void;
}

/** Counts failed logins. */
export interface FailureCount {
  /** Begins an attempt. Rejects with TOOMANYREQUESTS when too many have failed. */
  begin(name: string, address: string): Attempt | Promise<Attempt>;
}

/** The rejection of who has failed too often, until they may try again. */
export function tooManyFailures(seconds: number): RegistryError {
  return new RegistryError("TOOMANYREQUESTS", { detail: "too many failed logins", retryAfter: Math.ceil(seconds) });
}

/**
 * Slows down those who try passwords. Who guesses at an account from elsewhere does not lock out its user, who has logged
 * in from their own address before: only what fails there counts for them.
 */
export class Attempts implements FailureCount {
  readonly #pairs: Buckets;
  readonly #addresses: Buckets;
  readonly #accounts: Buckets;
  readonly #known = new LRUCache<string, true>({ max: mostKept, ttl: knownMilliseconds });

  constructor({ pair, address, account }: Allowances = usual, now: () => number = Date.now) {
    this.#pairs = new Buckets(pair, now);
    this.#addresses = new Buckets(address, now);
    this.#accounts = new Buckets(account, now);
  }

  /** Begins an attempt. Throws TOOMANYREQUESTS when too many have failed. */
  begin(name: string, address: string): Attempt {
    const pair = JSON.stringify([name, address]);
    const isKnown = this.#known.has(pair);
    const counted: readonly (readonly [Buckets, string])[] = isKnown
      ? [[this.#pairs, pair]]
      : [
          [this.#pairs, pair],
          [this.#addresses, address],
          [this.#accounts, name],
        ];
    const seconds = Math.max(...counted.map(([buckets, key]) => buckets.wait(key)));
    if (seconds > 0) throw tooManyFailures(seconds);
    for (const [buckets, key] of counted) buckets.take(key);
    return {
      isKnown,
      end: (outcome) => {
        if (outcome === "wrong") return;
        for (const [buckets, key] of counted) buckets.giveBack(key);
        if (outcome === "right") this.#known.set(pair, true);
      },
    };
  }
}

/** What is left of an allowance, by key. */
class Buckets {
  readonly #allowance: Allowance;
  readonly #now: () => number;
  /** What was left then; whatever is not here is full. */
  readonly #left = new LRUCache<string, { readonly left: number; readonly at: number }>({ max: mostKept });

  constructor(allowance: Allowance, now: () => number) {
    this.#allowance = allowance;
    this.#now = now;
  }

  /** The seconds until there is one to take; 0 where there is. */
  wait(key: string): number {
    return Math.max(0, (1 - this.#leftOf(key)) * this.#allowance.seconds);
  }

  take(key: string): void {
    this.#set(key, this.#leftOf(key) - 1);
  }

  giveBack(key: string): void {
    this.#set(key, this.#leftOf(key) + 1);
  }

  #leftOf(key: string): number {
    const { burst, seconds } = this.#allowance;
    const kept = this.#left.get(key);
    return kept ? Math.min(burst, kept.left + (this.#now() - kept.at) / 1000 / seconds) : burst;
  }

  #set(key: string, left: number): void {
    if (left >= this.#allowance.burst) this.#left.delete(key);
    else this.#left.set(key, { left, at: this.#now() });
  }
}
