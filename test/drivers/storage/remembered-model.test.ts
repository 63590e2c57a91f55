import { expect } from "chai";
import type { Context } from "mocha";
import type { Coherence } from "../../../src/drivers/storage/coherence.ts";
import type { StorageDriver } from "../../../src/drivers/storage/driver.ts";
import { DriverError, isNotFound } from "../../../src/drivers/storage/errors.ts";
import { openMemory } from "../../../src/drivers/storage/memory.ts";
import { remembered, type Memory, type RememberingStorage } from "../../../src/drivers/storage/remembered.ts";
import type { Watch } from "../../../src/drivers/storage/watches.ts";
import { seededRandom, type Random } from "../../support/random.ts";
import { absent, RegisterModel } from "../../support/register-model.ts";
import { slow, type Disturbance } from "../../support/slow-driver.ts";
import { bytesOf } from "../../support/storage-content.ts";

const root = "docker/registry/v2/repositories";
const repositories = ["a", "b", "c", "d"];
const keys = repositories.flatMap((name) => [`${root}/${name}/x/link`, `${root}/${name}/y/link`, `${root}/${name}/z`]);
/** It is in none of the folders. */
const contended = "_registryctl/v1/contended";
const folders = [root, ...repositories.map((name) => `${root}/${name}`)];

/** Processes of one group in this one: what one announces, the others forget before it goes on. */
class Group {
  isExclusive = true;
  readonly #random: Random;
  readonly #members = new Map<object, (keys?: readonly string[]) => void>();

  constructor(random: Random) {
    this.#random = random;
  }

  join(): Coherence {
    const member = {};
    const isExclusive = (): boolean => this.isExclusive;
    return {
      get isExclusive() {
        return isExclusive();
      },
      announce: async (changed) => {
        for (const [other, forget] of this.#members) {
          if (other === member) continue;
          if (this.#random(2) === 0) await new Promise((resolve) => setImmediate(resolve));
          forget(changed);
        }
      },
      listen: (forget) => this.#members.set(member, forget),
    };
  }

  turn(isExclusive: boolean): void {
    this.isExclusive = isExclusive;
    if (!isExclusive) for (const forget of this.#members.values()) forget();
  }
}

async function* contentOf(size: number): AsyncGenerator<Uint8Array> {
  await Promise.resolve();
  yield Buffer.alloc(size, size % 251);
}

/** The sizes of contents tell them apart; undefined when the store could not say. */
async function sizeSeen(look: () => Promise<number>): Promise<number | undefined> {
  try {
    return await look();
  } catch (error) {
    if (isNotFound(error)) return absent;
    if (error instanceof DriverError && error.code === "UNAVAILABLE") return undefined;
    throw error;
  }
}

/** Many who use two wrappers over one store at the same time, and the model that says what they may see. */
class Crowd {
  readonly #random: Random;
  readonly #store: StorageDriver;
  readonly #wrappers: readonly RememberingStorage[];
  readonly #group: Group;
  readonly #model = new RegisterModel();
  readonly #disturbance: Disturbance;
  readonly #watches: { readonly key: string; readonly size: number; readonly watch: Watch }[] = [];
  #size = 0;
  answers = 0;

  constructor(random: Random, memory: Memory) {
    this.#random = random;
    this.#disturbance = { random, failing: 40 };
    this.#group = new Group(random);
    this.#store = openMemory();
    const driver = slow(this.#store, this.#disturbance);
    this.#wrappers = [1, 2].map(() => remembered(driver, this.#group.join(), memory));
  }

  async run(steps: number): Promise<void> {
    const actor = async (): Promise<void> => {
      for (let step = 0; step < steps; step++) await this.#step();
    };
    await Promise.all(Array.from({ length: 8 }, actor));
    this.#disturbance.failing = 0;
    await Promise.all(
      this.#wrappers.map(async (wrapper) => {
        await this.#compare(wrapper);
      }),
    );
  }

  async #step(): Promise<void> {
    const kind = this.#random(40);
    if (kind < 12) await this.#read();
    else if (kind < 20) await this.#list();
    else if (kind < 38) await this.#change();
    else if (kind < 39) await this.#contend();
    else await this.#admitStranger();
    this.#checkWatches();
  }

  #one<T>(items: readonly T[]): T {
    const item = items[this.#random(items.length)];
    if (item === undefined) throw new Error("nothing to choose from");
    return item;
  }

  async #read(): Promise<void> {
    const [wrapper, key] = [this.#one(this.#wrappers), this.#one(keys)];
    const observation = this.#model.observe(key);
    const watch = wrapper.watch(key);
    const size = await sizeSeen(async () => {
      if (this.#random(2) === 0) return (await wrapper.stat(key)).size;
      const bytes = await bytesOf(wrapper, key);
      expect(bytes.equals(Buffer.alloc(bytes.length, bytes.length % 251)), "the content is whole").to.equal(true);
      return bytes.length;
    });
    observation.end();
    if (size === undefined) {
      watch.close();
      return;
    }
    this.answers += 1;
    expect([...observation.possible], key).to.include(size);
    this.#watches.push({ key, size, watch });
    if (this.#watches.length > 30) this.#watches.shift()?.watch.close();
  }

  #checkWatches(): void {
    for (const { key, size, watch } of this.#watches) {
      if (watch.isValid) expect([...this.#model.states(key)], `watched ${key}`).to.include(size);
    }
  }

  async #list(): Promise<void> {
    const [wrapper, prefix] = [this.#one(this.#wrappers), this.#one(folders)];
    const after = this.#random(3) === 0 ? this.#one(["a", "bb", "x", "y"]) : undefined;
    const below = keys.filter((key) => key.startsWith(`${prefix}/`));
    const observations = below.map((key) => this.#model.observe(key));
    const most = this.#random(2) === 0 ? this.#random(4) : Infinity;
    const names: string[] = [];
    const size = await sizeSeen(async () => {
      for await (const name of wrapper.children(prefix, after)) {
        if (names.length === most) return most;
        names.push(name);
      }
      return Infinity;
    });
    for (const observation of observations) observation.end();
    expect(names).to.deep.equal([...new Set(names)].sort());
    for (const name of names) {
      const mayBe = observations.some(({ key, possible }) => isOf(key, prefix, name) && hasContent(possible));
      expect(mayBe && name > (after ?? ""), `${name} in ${prefix}`).to.equal(true);
    }
    if (size === undefined) return;
    this.answers += 1;
    const end = size === Infinity ? "~" : (names.at(-1) ?? "");
    for (const { key, possible } of observations) {
      const name = key.slice(prefix.length + 1).split("/")[0] ?? "";
      const isIn = !possible.has(absent) && name > (after ?? "") && name <= end;
      if (isIn) expect(names, `${key} is there`).to.include(name);
    }
  }

  async #change(): Promise<void> {
    const [wrapper, key, to] = [this.#one(this.#wrappers), this.#one(keys), this.#one(keys)];
    const size = (this.#size += 1);
    const kind = this.#random(6);
    if (kind === 0 && key !== to) {
      const bytes = Buffer.alloc(size, size % 251);
      await this.#model.change([key, to], [size, size], async () => {
        await wrapper.writeInSteps?.([[{ key, bytes }], [{ key: to, bytes }]]);
      });
    } else if (kind < 3) {
      const told = this.#random(2) === 0 ? size : undefined;
      await this.#model.change([key], [size], async () => {
        await wrapper.write(key, contentOf(size), told);
      });
    } else if (kind < 5) {
      await this.#model.change([key], [absent], async () => {
        await wrapper.delete(key);
      });
    } else {
      const [only, ...others] = this.#model.states(key);
      if (only === undefined || only === absent || others.length > 0 || key === to) return;
      const operation = this.#one(["move", "copy", "link"] as const);
      await this.#model.change([key, to], [operation === "move" ? absent : only, only], async () => {
        await wrapper[operation](key, to);
      });
    }
  }

  /** Two write the same key at the same time: either may win, but all have to agree afterwards. */
  async #contend(): Promise<void> {
    await Promise.allSettled(
      this.#wrappers.map(async (wrapper) => {
        const size = (this.#size += 1);
        await wrapper.write(contended, contentOf(size), size);
        await wrapper.stat(contended);
      }),
    );
  }

  /** For a while the store isn't theirs alone, and somebody changes it who tells nobody. */
  async #admitStranger(): Promise<void> {
    if (!this.#group.isExclusive) return;
    this.#group.turn(false);
    const key = this.#one(keys);
    const size = (this.#size += 1);
    await this.#model.change([key], [size], async () => {
      await this.#store.write(key, contentOf(size));
    });
    await new Promise((resolve) => setImmediate(resolve));
    this.#group.turn(true);
  }

  /** All that the wrapper says, now that nothing changes. */
  async #compare(wrapper: RememberingStorage): Promise<void> {
    for (const key of [...keys, contended]) {
      const stored = await sizeSeen(async () => (await this.#store.stat(key)).size);
      expect(await sizeSeen(async () => (await wrapper.stat(key)).size), key).to.equal(stored);
      expect(await sizeSeen(async () => (await bytesOf(wrapper, key)).length), key).to.equal(stored);
    }
    for (const prefix of folders) {
      expect(await namesIn(wrapper, prefix)).to.deep.equal(await namesIn(this.#store, prefix));
    }
  }
}

function isOf(key: string, prefix: string, name: string): boolean {
  return key === `${prefix}/${name}` || key.startsWith(`${prefix}/${name}/`);
}

function hasContent(states: ReadonlySet<number>): boolean {
  return [...states].some((state) => state !== absent);
}

async function namesIn(driver: StorageDriver, prefix: string): Promise<readonly string[]> {
  const names: string[] = [];
  for await (const name of driver.children(prefix)) names.push(name);
  return names;
}

describe("two processes that remember one store, used by many at the same time", function () {
  this.timeout(180_000);
  const shows = async (context: Context, memory: Memory): Promise<void> => {
    const crowd = new Crowd(seededRandom(context), memory);
    await crowd.run(600);
    expect(crowd.answers).to.be.greaterThan(500);
  };

  it("show what the store holds", async function () {
    await shows(this, {});
  });

  it("show what the store holds when they remember next to nothing", async function () {
    await shows(this, { objectBytes: 1_500, names: 25, largest: 300 });
  });

  it("show what the store holds when they forget within milliseconds", async function () {
    await shows(this, { objectLifetime: 3, namesLifetime: 6 });
  });
});
