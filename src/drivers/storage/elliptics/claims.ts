import { randomInt, randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { DriverError } from "../errors.ts";
import type { Tags } from "./tags.ts";

/** Milliseconds after which a claim that was not renewed is one of a process that was killed. */
const lifetime = 300_000;
const renewal = 20_000;
/** How often a claim is tried for, and how long it is waited in between at most. */
const attempts = 100;
const longestPause = 500;

/**
 * Lets one process at a time write an object in steps. Servers have no locks: whoever has said that they want it, and then finds
 * nobody else who has, has it.
 */
export class Claims {
  readonly #tags: Tags;
  /** Says which claims are this process's. */
  readonly #process = randomUUID();
  readonly #active = new Set<string>();

  constructor(tags: Tags) {
    this.#tags = tags;
  }

  /** Does `work`, which calls its argument now and then, while nobody else does theirs with the same key. UNAVAILABLE when others take too long. */
  async run<T>(key: string, work: (renew: () => Promise<void>) => Promise<T>): Promise<T> {
    const wanted = `registryctl//claims/${key}`;
    const own = `${this.#process}/${randomUUID()}`;
    let said = 0;
    const say = async (): Promise<void> => {
      said = Date.now();
      await this.#tags.add(nameOf(own), [{ name: wanted, data: `${own} ${said}` }]);
    };
    this.#active.add(own);
    try {
      for (let attempt = 0; attempt < attempts; attempt++) {
        await say();
        if (await this.#isOurs(wanted, own)) {
          return await work(async () => {
            if (Date.now() - said > renewal) await say();
          });
        }
        await this.#withdraw(own);
        await sleep(randomInt(1, longestPause));
      }
    } finally {
      this.#active.delete(own);
      // One that can't be withdrawn now is known to be over, or will be old.
      await this.#withdraw(own).catch(() => undefined);
    }
    throw new DriverError("UNAVAILABLE", `${key} is being written by somebody else`);
  }

  async #isOurs(wanted: string, own: string): Promise<boolean> {
    const others = (await this.#tags.all(wanted)).map((text) => text.split(" ")).filter(([id]) => id !== own);
    const old = Date.now() - lifetime;
    for (const [id = "", time] of others) {
      const isOver = id.startsWith(this.#process) && !this.#active.has(id);
      if (!isOver && Number(time) >= old) return false;
      await this.#withdraw(id);
    }
    return true;
  }

  async #withdraw(id: string): Promise<void> {
    await this.#tags.replace(nameOf(id), []);
  }
}

function nameOf(id: string): string {
  return `registryctl//claimant/${id}`;
}
