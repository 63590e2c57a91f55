import { randomInt, randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { DriverError } from "../errors.ts";
import type { Tags } from "./tags.ts";

/** Milliseconds after which a claim that was not renewed is one of a process that was killed. */
const lifetime = 600_000;
const renewal = 60_000;
/** How often a claim is tried for, and how long it is waited in between at most. */
const attempts = 100;
const longestPause = 500;

/**
 * Lets one process at a time write an object in steps. Servers have no locks: whoever has said that they want it, and then finds
 * nobody else who has, has it.
 */
export class Claims {
  readonly #tags: Tags;

  constructor(tags: Tags) {
    this.#tags = tags;
  }

  /** Does `work`, which calls its argument now and then, while nobody else does theirs with the same key. UNAVAILABLE when others take too long. */
  async run<T>(key: string, work: (renew: () => Promise<void>) => Promise<T>): Promise<T> {
    const wanted = `registryctl//claims/${key}`;
    const own = randomUUID();
    let said = 0;
    const say = async (): Promise<void> => {
      said = Date.now();
      await this.#tags.add(nameOf(own), [{ name: wanted, data: `${own} ${said}` }]);
    };
    const withdraw = async (id: string): Promise<void> => {
      await this.#tags.replace(nameOf(id), []);
    };
    for (let attempt = 0; attempt < attempts; attempt++) {
      try {
        await say();
        const others = (await this.#tags.all(wanted)).map((text) => text.split(" ")).filter(([id]) => id !== own);
        const old = Date.now() - lifetime;
        if (others.every(([, time]) => Number(time) < old)) {
          for (const [id = ""] of others) await withdraw(id);
          return await work(async () => {
            if (Date.now() - said > renewal) await say();
          });
        }
      } finally {
        await withdraw(own).catch(() => undefined);
      }
      await sleep(randomInt(1, longestPause));
    }
    throw new DriverError("UNAVAILABLE", `${key} is being written by somebody else`);
  }
}

function nameOf(id: string): string {
  return `registryctl//claimant/${id}`;
}
