import type { Backend, Complain, Reply, Request, Table } from "./backend.ts";
import { indexTableId, objectTableId, shardOf } from "./ids.ts";
import { foundBytes, parseTagRequests, status, tagReplyBytes, type FoundObject, type TagRequest } from "./wire.ts";

const requestFlag = { intersect: 1, unite: 2, updateOnly: 4, more: 8 } as const;
const entryFlag = { insert: 1, remove: 2 } as const;

/** What a server does with tags, of which it knows the others' tables too. */
export interface Tagging {
  readonly shards: number;
  /** The backend of the group that a table lies on. */
  ownerOf(id: Buffer, group: number): Backend | undefined;
  /** Ends this server, as such a request ends the real one. */
  crash(): void;
  readonly complain: Complain;
}

/** INDEXES_UPDATE: changes the list of an object's tags; with flags 0 the tags' lists too. */
export function updateTags({ header, body }: Request, backend: Backend, tagging: Tagging): readonly Reply[] {
  const { complain, shards } = tagging;
  const [request, ...others] = parseTagRequests(body);
  if (!request || others.length > 0) return malformed(complain, "INDEXES_UPDATE with other than one request");
  if (!objectTableId(request.id).equals(header.id)) complain("INDEXES_UPDATE whose header is not the object's table");
  if (request.group !== header.group) complain(`INDEXES_UPDATE of group ${header.group} with the inner group ${request.group}`); // prettier-ignore
  if (request.shard !== 0 || request.shards !== 0) complain("INDEXES_UPDATE with a shard");
  if (request.entries.some(({ flags, shard, shards: count }) => flags !== 0 || shard !== 0 || count !== 0)) {
    complain("INDEXES_UPDATE with flags or shards in an entry");
  }
  if (backend.isReadOnly) return [{ status: status.readOnly }];
  const table = backend.tables.findOrMake(header.id);
  if (request.flags === requestFlag.updateOnly) {
    for (const { id, data } of request.entries) table.set(id, data);
    return [{ more: true, body: [tagReplyBytes([])] }, {}];
  }
  if (request.flags !== 0) return malformed(complain, `INDEXES_UPDATE with the flags ${request.flags}`);
  if (request.group === 0) {
    tagging.crash();
    return [];
  }
  const shard = shardOf(request.id, shards);
  // Each server that has some of the tags' lists answers for them at once.
  const changed = new Map<Backend, Buffer[]>();
  const indexOf = (tag: Buffer): Table | undefined => {
    const id = indexTableId(tag, shard, shards);
    const owner = tagging.ownerOf(id, request.group);
    if (owner) changed.set(owner, [...(changed.get(owner) ?? []), id]);
    return owner?.tables.findOrMake(id, shard, shards);
  };
  const wanted = new Map(request.entries.map((entry) => [entry.id.toString("hex"), entry]));
  for (const [key, { id }] of [...table.entries].sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (wanted.has(key)) continue;
    const index = indexOf(id);
    if (!index) return [{ status: status.unsupported }];
    index.delete(request.id);
    table.delete(id);
  }
  for (const [key, { id, data }] of wanted) {
    if (table.entries.get(key)?.data.equals(data) === true) continue;
    const index = indexOf(id);
    if (!index) return [{ status: status.unsupported }];
    index.set(request.id, data);
    table.set(id, data);
  }
  return [...[...changed.values()].map((ids): Reply => ({ more: true, body: [tagReplyBytes(ids)] })), {}];
}

/** INDEXES_INTERNAL: changes one list of a tag's objects. */
export function changeIndex({ header, body }: Request, backend: Backend, tagging: Tagging): readonly Reply[] {
  const { complain } = tagging;
  const [request, ...others] = parseTagRequests(body);
  const [entry, ...more] = request?.entries ?? [];
  if (!request || !entry || others.length > 0 || more.length > 0) {
    return malformed(complain, "INDEXES_INTERNAL with other than one entry");
  }
  const { shard, shards } = request;
  if (shards !== tagging.shards) complain(`a tag in ${shards} shards, there are ${tagging.shards}`);
  else if (shard !== shardOf(request.id, shards)) complain("a tag in a shard that is not the object's");
  if (entry.shard !== shard || entry.shards !== shards) complain("an index entry with other shards than its request");
  if (header.id.readUInt32BE(0) !== Number((BigInt(shard) << 32n) / BigInt(shards)))
    complain("a table of another shard");
  if (!entry.id.equals(header.id)) complain("INDEXES_INTERNAL of another table than its header's");
  if (request.flags !== 0) complain(`INDEXES_INTERNAL with the flags ${request.flags}`);
  if (request.group !== 0 && request.group !== header.group) complain("INDEXES_INTERNAL with another group inside");
  if (backend.isReadOnly) return [{ status: status.readOnly }];
  if (entry.flags === entryFlag.insert) backend.tables.findOrMake(header.id, shard, shards).set(request.id, entry.data);
  else if (entry.flags === entryFlag.remove) backend.tables.find(header.id)?.delete(request.id);
  else return malformed(complain, `INDEXES_INTERNAL with the entry flags ${entry.flags}`);
  return [{ more: true, body: [tagReplyBytes([header.id])] }, {}];
}

/** INDEXES_FIND: the objects that have all tags, or any of them, of those in the tables that lie here. */
export function find({ header, body }: Request, backend: Backend, { complain }: Tagging): readonly Reply[] {
  const requests = parseTagRequests(body);
  if (requests.length === 0) return malformed(complain, "INDEXES_FIND of nothing");
  const answers: Reply[] = [];
  let isLastAnswered = false;
  for (const [position, request] of requests.entries()) {
    checkFind(request, header.group, position === requests.length - 1, complain);
    if (position === 0 && !request.id.equals(header.id)) complain("INDEXES_FIND whose header is not its first table");
    const found = findIn(backend, request);
    isLastAnswered = found !== undefined;
    if (found) answers.push({ id: request.id, more: true, body: [foundBytes(found)] });
  }
  if (!isLastAnswered) return [...answers, answers.length > 0 ? {} : { status: status.missing }];
  const last = answers.pop();
  return last ? [...answers, { ...last, more: false }] : [];
}

function findIn(backend: Backend, request: TagRequest): readonly FoundObject[] | undefined {
  const isUnion = (request.flags & requestFlag.unite) !== 0;
  const tables = request.entries.map(({ id }) => ({ id, table: backend.tables.find(id) }));
  const there = tables.flatMap(({ id, table }) => (table ? [{ id, table }] : []));
  if (isUnion ? there.length === 0 : there.length < tables.length) return undefined;
  // What has all tags is in the shortest list.
  const shortest = [...there]
    .sort((a, b) => a.table.entries.size - b.table.entries.size)
    .slice(0, isUnion ? there.length : 1);
  const objects = new Map(shortest.flatMap(({ table }) => [...table.entries]).map(([key, { id }]) => [key, id]));
  const found = [...objects].map(([key, id]) => ({
    key,
    id,
    tags: there.flatMap(({ id: tag, table }) => {
      const entry = table.entries.get(key);
      return entry ? [[tag, entry.data] as const] : [];
    }),
  }));
  return found.filter(({ tags }) => isUnion || tags.length === tables.length).sort((a, b) => (a.key < b.key ? -1 : 1));
}

function checkFind({ id, group, flags, shard, shards, entries }: TagRequest, real: number, isLast: boolean, complain: Complain): void {
  const kind = flags & ~requestFlag.more;
  if (kind !== requestFlag.intersect && kind !== requestFlag.unite) complain(`INDEXES_FIND with the flags ${flags}`);
  if (isLast === ((flags & requestFlag.more) !== 0)) complain("INDEXES_FIND with a wrong MORE");
  if (group !== real) complain("INDEXES_FIND with another group inside");
  if (shard !== 0 || shards !== 0) complain("INDEXES_FIND with a shard");
  if (!entries[0]?.id.equals(id)) complain("INDEXES_FIND whose id is not that of its first tag");
  for (const entry of entries) {
    if (entry.flags !== 0 || entry.data.length > 0) complain("INDEXES_FIND with flags or data in an entry");
    if (entry.id.readUInt32BE(0) !== id.readUInt32BE(0)) complain("INDEXES_FIND across shards");
  }
} // prettier-ignore

function malformed(complain: Complain, what: string): readonly Reply[] {
  complain(what);
  return [{ status: status.invalid }];
}
