import { randomUUID } from "node:crypto";
import { setTimeout } from "node:timers/promises";
import type { Connection, Tables } from "./connection.ts";
import { SearchIndexError } from "./errors.ts";
import { rowOf } from "./row.ts";
import type { SearchEntry } from "./search-index.ts";

/** How long an owner that has stopped renewing is waited for; longer than the longest statement may take. */
const lease = 20_000;
const renewal = 5_000;
/** How often those who wait look whether the owner is done. */
const poll = 250;
const batchSize = 200;

/**
 * Fills an index once, however many processes on however many hosts try: one owns the fill by a lease in the database, the
 * others wait for it and take over when it dies. Every step is one statement, so the order in which steps of the fill
 * and events meet does not matter:
 *
 * - a row that an event put is never overwritten (the fill replaces only rows of earlier, interrupted fills);
 * - a deletion during the fill leaves a marked row that the fill can't overwrite either; the marks go when it is done;
 * - rows of interrupted fills that this one did not meet again go when it is done.
 */
export class Fill {
  readonly #connection: Connection;
  readonly #token = randomUUID();
  readonly #closing: AbortSignal;

  constructor(connection: Connection, closing: AbortSignal) {
    this.#connection = connection;
    this.#closing = closing;
  }

  /** How many rows it added; 0 when somebody else has filled the index. */
  async run(source: () => AsyncIterable<SearchEntry>): Promise<number> {
    for (;;) {
      this.#assertOpen();
      const number = await this.#claim();
      if (number === "filled") return 0;
      const added = number === "owned" ? undefined : await this.#fill(number, source);
      if (added !== undefined) return added;
      await setTimeout(poll, undefined, { signal: this.#closing }).catch(() => undefined);
    }
  }

  /** Lets others take over at once; nothing when this fill owns nothing. */
  async release(): Promise<void> {
    await this.#connection.run(({ fills }) => fills.update({ owner: this.#token }, { owner: "" }));
  }

  /** The number of this fill, once it is ours. */
  async #claim(): Promise<number | "filled" | "owned"> {
    const claimed = await this.#connection.run(({ fills, now }) =>
      fills
        .createQueryBuilder()
        .update()
        .set({ owner: this.#token, number: () => "number + 1", expires: () => `${now} + ${lease}` })
        .where(`NOT filled AND (owner = '' OR expires < ${now})`)
        .execute(),
    );
    const row = await this.#connection.run(({ fills }) => fills.findOneByOrFail({ id: 1 }));
    if (row.filled) return "filled";
    return claimed.affected === 1 ? row.number : "owned";
  }

  /** The number of rows added, or undefined when somebody else has taken over. */
  async #fill(number: number, source: () => AsyncIterable<SearchEntry>): Promise<number | undefined> {
    // A renewal that fails is not lost: the next batch renews too, and tells.
    const heartbeat = setInterval(() => void this.#renew().catch(() => false), renewal);
    // A source that never answers must not keep the process alive after the index is closed.
    const stop = () => {
      clearInterval(heartbeat);
    };
    this.#closing.addEventListener("abort", stop, { once: true });
    try {
      for await (const batch of batches(source(), batchSize)) {
        this.#assertOpen();
        if (!(await this.#renew())) return undefined;
        await this.#connection.run((tables) => insert(tables, number, batch));
      }
      this.#assertOpen();
      return await this.#finish(number);
    } catch (error) {
      await this.release().catch(() => undefined);
      throw error;
    } finally {
      this.#closing.removeEventListener("abort", stop);
      stop();
    }
  }

  async #renew(): Promise<boolean> {
    const renewed = await this.#connection.run(({ fills, now }) =>
      fills
        .createQueryBuilder()
        .update()
        .set({ expires: () => `${now} + ${lease}` })
        .where({ owner: this.#token })
        .execute(),
    );
    return renewed.affected === 1;
  }

  /** Rows that only earlier fills knew go first: should we die now, the next fill starts from what is right. */
  async #finish(number: number): Promise<number | undefined> {
    if (!(await this.#renew())) return undefined;
    await this.#connection.run(({ repositories }) =>
      repositories.createQueryBuilder().delete().where("fill > 0 AND fill < :number", { number }).execute(),
    );
    const added = await this.#connection.run(({ repositories }) => repositories.countBy({ fill: number }));
    const finished = await this.#connection.run(({ fills }) =>
      fills.update({ owner: this.#token }, { filled: true, owner: "" }),
    );
    if (finished.affected !== 1) return undefined;
    // Only now: a deletion that still saw the fill running has left its mark before this.
    await this.#connection.run(({ repositories }) => repositories.delete({ deleted: true }));
    return added;
  }

  #assertOpen(): void {
    if (this.#closing.aborted) {
      throw new SearchIndexError(
        "The search index was closed while it was being filled; the next start fills it again",
      );
    }
  }
}

async function insert({ repositories }: Tables, number: number, batch: readonly SearchEntry[]): Promise<void> {
  const rows = new Map(batch.map((entry) => rowOf(entry, { fill: number })).map((row) => [row.name, row]));
  const [upsert, parameters] = repositories
    .createQueryBuilder()
    .insert()
    .values([...rows.values()])
    .orUpdate(["description", "folded_description", "fill"], ["name"])
    .updateEntity(false)
    .getQueryAndParameters();
  // TypeORM has conditions for the update, but leaves them out where the database is SQLite.
  const table = repositories.metadata.tableName;
  await repositories.query(`${upsert} WHERE ${table}.fill > 0 AND ${table}.fill < EXCLUDED.fill`, parameters);
}

async function* batches<T>(source: AsyncIterable<T>, size: number): AsyncGenerator<T[]> {
  let batch: T[] = [];
  for await (const item of source) {
    if (batch.push(item) < size) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}
