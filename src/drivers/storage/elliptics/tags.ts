import type { Cluster } from "./cluster.ts";
import { EllipticsFailure, status, statusOf } from "./failure.ts";
import { command, type Command } from "./frame.ts";
import type { Groups } from "./groups.ts";
import { indexTableId, objectTableId, shardOf } from "./ids.ts";
import { bytesIn, decodeMsgpack, listIn } from "./msgpack.ts";
import { smallAnswer, type Objects } from "./objects.ts";
import { decodeIndexReply, encodeIndexRequest, indexFlag, type IndexEntry } from "./structures.ts";

/** A tag of an object, and what is kept with it. */
export interface Tag {
  readonly name: string;
  readonly data: string;
}

/** A shard of a tag that has a million objects is not as long. */
const longestTable = 256 * 1_048_576;
/** The tags of one object are few. */
const longestTags = 1_048_576;
const tableMagic = Buffer.from("274073e7fb8ca35d", "hex");

/** The tags of objects, by which alone it can be found out which objects there are. */
export class Tags {
  readonly #cluster: Cluster;
  readonly #objects: Objects;
  readonly #groups: Groups;

  constructor(cluster: Cluster, objects: Objects) {
    this.#cluster = cluster;
    this.#objects = objects;
    this.#groups = objects.groups;
  }

  /** Adds tags to those of the object, which need not exist. */
  async add(name: string, tags: readonly Tag[]): Promise<void> {
    const shards = await this.#cluster.shards();
    const id = this.#objects.id(name);
    const table = objectTableId(id);
    const shard = shardOf(table, shards);
    const entries = this.#entries(tags);
    const outcome = await this.#groups.each(async (group) => {
      const update = encodeIndexRequest({ id, group, flags: indexFlag.updateOnly, entries });
      const inserts = entries.map(async (entry) => {
        const indexId = indexTableId(entry.id, shard, shards);
        const inner: IndexEntry = { ...entry, id: indexId, flags: indexFlag.insert, shard, shards };
        const body = encodeIndexRequest({ id, shard, shards, entries: [inner] });
        await this.#change(command.indexesInternal, indexId, group, body);
      });
      await Promise.all([this.#change(command.indexesUpdate, table, group, update), ...inserts]);
    });
    this.#groups.majority(outcome, `tagging ${name}`);
  }

  /** Gives the object these tags and no others. Servers find out which it has no longer. */
  async replace(name: string, tags: readonly Tag[]): Promise<void> {
    const id = this.#objects.id(name);
    const entries = this.#entries(tags);
    const outcome = await this.#groups.each(async (group) => {
      // Without the group inside, a server that replaces a list dies.
      const body = encodeIndexRequest({ id, group, entries });
      await this.#change(command.indexesUpdate, objectTableId(id), group, body);
    });
    this.#groups.majority(outcome, `tagging ${name}`);
  }

  /** Whether more than half of the groups have the object under all of these tags. Rejects when too few answer. */
  async has(name: string, tags: readonly Tag[]): Promise<boolean> {
    const wanted = this.#entries(tags).map(({ id }) => id.toString("hex"));
    const known = await this.#known(name);
    return known.filter((ids) => wanted.every((id) => ids.has(id))).length >= this.#groups.quorum;
  }

  /** Whether any group that answers has a tag of the object. Rejects when too few answer. */
  async hasAny(name: string): Promise<boolean> {
    return (await this.#known(name)).some(({ size }) => size > 0);
  }

  /**
   * What is kept with the tag by all objects that have it, shard by shard, in no order; twice where groups differ. A group that
   * was away may know too little and too much, so all are asked. Rejects where so few answer that something could be missing.
   */
  async *find(tag: string): AsyncGenerator<readonly string[]> {
    const shards = await this.#cluster.shards();
    for (let shard = 0; shard < shards; shard++) yield await this.#findIn(tag, shard, shards);
  }

  /** All that `find` yields, each once, with all shards asked at the same time. */
  async all(tag: string): Promise<readonly string[]> {
    const shards = await this.#cluster.shards();
    const found = await Promise.all(Array.from({ length: shards }, async (_, shard) => await this.#findIn(tag, shard, shards))); // prettier-ignore
    return [...new Set(found.flat())];
  }

  /** One shard a frame: servers answer several in one only where all of them are their own. */
  async #findIn(tag: string, shard: number, shards: number): Promise<readonly string[]> {
    const id = indexTableId(this.#objects.id(tag), shard, shards);
    const outcome = await this.#groups.each(async (group) => {
      const body = [encodeIndexRequest({ id, group, flags: indexFlag.intersect, entries: [{ id }] })];
      try {
        const request = { command: command.indexesFind, id, group, body, longest: longestTable };
        const bodies = await this.#cluster.request(request, false);
        return bodies.flatMap(dataIn);
      } catch (error) {
        // No such table: nothing was ever tagged.
        if (statusOf(error) === status.missing) return [];
        throw error;
      }
    });
    return this.#groups.witnessed(outcome, `listing ${tag}`).flatMap(({ value }) => value);
  }

  #entries(tags: readonly Tag[]): readonly IndexEntry[] {
    return tags.map(({ name, data }) => ({ id: this.#objects.id(name), data: Buffer.from(data) }));
  }

  async #known(name: string): Promise<readonly ReadonlySet<string>[]> {
    const table = objectTableId(this.#objects.id(name));
    const outcome = await this.#groups.each(async (group) => await this.#idsIn(table, group));
    return this.#groups.majority(outcome, `the tags of ${name}`).map(({ value }) => value);
  }

  /** Every entry that a server tells of has a status of its own. */
  async #change(kind: Command, id: Buffer, group: number, body: Buffer): Promise<void> {
    const request = { command: kind, id, group, body: [body], longest: smallAnswer };
    for (const answer of await this.#cluster.request(request, false)) {
      const bad = decodeIndexReply(answer).find((code) => code !== 0);
      if (bad !== undefined) throw new EllipticsFailure(bad, `an entry has status ${bad}`);
    }
  }

  /** The ids of an object's tags: servers keep them in an object too. */
  async #idsIn(table: Buffer, group: number): Promise<ReadonlySet<string>> {
    try {
      const { bytes, totalSize } = await this.#objects.readOf(table, group, 0, longestTags);
      if (totalSize > bytes.length || !bytes.subarray(0, tableMagic.length).equals(tableMagic)) return new Set();
      const entries = listIn(listIn(decodeMsgpack(bytes.subarray(tableMagic.length)), 2)[1]);
      return new Set(entries.map((entry) => bytesIn(listIn(entry, 1)[0]).toString("hex")));
    } catch (error) {
      if (statusOf(error) === status.missing) return new Set();
      throw error;
    }
  }
}

/** What an answer to INDEXES_FIND says that objects keep with the first tag. */
function dataIn(answer: Buffer): readonly string[] {
  return listIn(decodeMsgpack(answer)).map((object) => {
    const [index] = listIn(listIn(object, 3)[2], 1);
    return bytesIn(listIn(index, 2)[1]).toString();
  });
}
