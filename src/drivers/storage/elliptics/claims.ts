import { randomInt, randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { DriverError } from "../errors.ts";
import type { Tags } from "./tags.ts";

/** How long a claim lasts, in milliseconds. */
export interface ClaimTimes {
  /** One that was not renewed for so long is one of a process that was killed. */
  readonly lifetime: number;
  readonly renewal: number;
}

export const claimTimes: ClaimTimes = { lifetime: 20_000, renewal: 3_000 };

/** So many tags there are for claims: each leaves a table on the servers. */
const tables = 256;

/** A claim of somebody's as it was first seen: a renewed one looks different. */
type Seen = Map<string, { readonly text: string; readonly since: number }>;

/**
 * Lets one process at a time write an object in steps. Servers have no locks: whoever has said that they want it, and then finds
 * nobody else who has, has it. Clocks of others are not believed: what looks the same for a lifetime is over.
 */
export class Claims {
  readonly #tags: Tags;
  readonly #times: ClaimTimes;
  /** Says which claims are this process's. */
  readonly #process = randomUUID();
  readonly #active = new Set<string>();

  constructor(tags: Tags, times: ClaimTimes = claimTimes) {
    this.#tags = tags;
    this.#times = times;
  }

  /**
   * Does `work` while nobody else does theirs with the same key. It calls its argument now and then, which rejects when others can't
   * be kept away any more. UNAVAILABLE when others take too long.
   */
  async run<T>(key: string, work: (assure: () => Promise<void>) => Promise<T>): Promise<T> {
    const { lifetime } = this.#times;
    const claim = new Claim(this.#tags, key, `${this.#process}/${randomUUID()}`);
    const seen: Seen = new Map();
    const end = Date.now() + 3 * lifetime;
    this.#active.add(claim.id);
    try {
      do {
        await claim.say();
        if (await this.#isAlone(claim, seen)) return await this.#during(claim, work);
        await claim.withdraw();
        await sleep(randomInt(1, Math.ceil(lifetime / 20) + 1));
      } while (Date.now() < end);
    } finally {
      this.#active.delete(claim.id);
      // One that can't be withdrawn now is known to be over here, and looks so to others soon.
      await claim.withdraw().catch(() => undefined);
    }
    throw new DriverError("UNAVAILABLE", `${key} is being written by somebody else`);
  }

  async #during<T>(claim: Claim, work: (assure: () => Promise<void>) => Promise<T>): Promise<T> {
    const { lifetime, renewal } = this.#times;
    let renewing = Promise.resolve();
    const timer = setInterval(() => {
      renewing = claim.say().catch(() => undefined);
    }, renewal);
    try {
      return await work(async () => {
        if (Date.now() - claim.said > lifetime / 2) await claim.say();
      });
    } finally {
      clearInterval(timer);
      // One that is still on its way would outlive its end.
      await renewing;
    }
  }

  async #isAlone(claim: Claim, seen: Seen): Promise<boolean> {
    let isAlone = true;
    for (const { id, text } of await claim.others()) {
      const before = seen.get(id);
      const since = before?.text === text ? before.since : Date.now();
      seen.set(id, { text, since });
      const isOver = id.startsWith(this.#process) && !this.#active.has(id);
      if (isOver || Date.now() - since > this.#times.lifetime) await this.#tags.replace(nameOf(id), []);
      else isAlone = false;
    }
    return isAlone;
  }
}

/** That somebody wants a key: a tag whose data tell who, since when, and which key. */
class Claim {
  readonly id: string;
  readonly #tags: Tags;
  readonly #key: string;
  readonly #tag: string;
  /** When it was last said with success. */
  said = 0;

  constructor(tags: Tags, key: string, id: string) {
    this.id = id;
    this.#tags = tags;
    this.#key = key;
    const table = Buffer.from(key).reduce((sum, byte) => (31 * sum + byte) % tables, 0);
    this.#tag = `registryctl//claims/${table}`;
  }

  async say(): Promise<void> {
    const now = Date.now();
    await this.#tags.add(nameOf(this.id), [{ name: this.#tag, data: `${this.id} ${now} ${this.#key}` }]);
    this.said = now;
  }

  async withdraw(): Promise<void> {
    await this.#tags.replace(nameOf(this.id), []);
  }

  /** Those of others who want the same key. */
  async others(): Promise<readonly { readonly id: string; readonly text: string }[]> {
    const all = (await this.#tags.all(this.#tag)).map((text) => ({ text, id: text.split(" ", 1)[0] ?? "" }));
    return all.filter(({ id, text }) => id !== this.id && text.endsWith(` ${this.#key}`));
  }
}

function nameOf(id: string): string {
  return `registryctl//claimant/${id}`;
}
