import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { indexTableId, keyId, objectTableId, shardOf } from "./ids.ts";
import { commands, flag, headerBytes, headerSize, ioBytes, ioSize, parseHeader, tagRequestBytes, type CommandName, type Header, type Io } from "./wire.ts"; // prettier-ignore

/** A frame that came from a server. */
export interface Frame {
  readonly header: Header;
  readonly body: Buffer;
}

interface Asked {
  readonly frames: Frame[];
  readonly done: (frames: readonly Frame[]) => void;
  readonly failed: (error: Error) => void;
}

/** What the protocol needs and no more, for tests that look at a server or bring content as the original driver does. */
export class RawElliptics {
  readonly socket: Socket;
  /** What a server sent unasked. */
  readonly unasked: Frame[] = [];
  shards = 0;
  readonly #asked = new Map<bigint, Asked>();
  #transaction = 0n;
  #rest: Buffer = Buffer.alloc(0);

  private constructor(socket: Socket) {
    this.socket = socket;
  }

  /** Connects and shakes hands. */
  static async connect(port: number, version: readonly number[] = [2, 26, 11, 1]): Promise<RawElliptics> {
    const client = await RawElliptics.open(port);
    const id = Buffer.alloc(64);
    for (const [position, number] of [...version, 0, 16].entries()) id.writeUInt32LE(number, position * 4);
    const [answer] = await client.send({ command: commands.REVERSE_LOOKUP, id, flags: flag.direct | flag.noLock });
    client.shards = answer?.header.id.readUInt32LE(20) ?? 0;
    return client;
  }

  /** Connects, and says nothing. */
  static async open(port: number): Promise<RawElliptics> {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true });
    await once(socket, "connect");
    const client = new RawElliptics(socket);
    socket.on("data", (chunk) => {
      client.#take(chunk);
    });
    socket.on("error", () => undefined).once("close", () => {
      for (const { failed } of client.#asked.values()) failed(new Error("the connection ended"));
    });
    return client;
  } // prettier-ignore

  /** Sends one frame and resolves with those that answer it. */
  async send(
    header: Partial<Header> & Pick<Header, "command">,
    body: Buffer = Buffer.alloc(0),
  ): Promise<readonly Frame[]> {
    const transaction = header.transaction ?? this.#transaction++;
    const bytes = headerBytes({ flags: flag.needAck, ...header, transaction, size: header.size ?? body.length });
    return await this.sendBytes(Buffer.concat([bytes, body]));
  }

  /** As `send`, with a frame as it is. */
  async sendBytes(frame: Buffer): Promise<readonly Frame[]> {
    const { transaction } = parseHeader(frame);
    return await new Promise((done, failed) => {
      this.#asked.set(transaction, { frames: [], done, failed });
      this.socket.write(frame);
    });
  }

  /** Sends a request about a key with io attributes; `data` follows them. */
  async io(
    command: CommandName,
    id: Buffer,
    io: Partial<Io> = {},
    data: Buffer = Buffer.alloc(0),
    more: Partial<Header> = {},
  ) {
    const size = io.size ?? data.length;
    const time = { seconds: BigInt(Math.floor(Date.now() / 1000)), nanoseconds: 0n };
    const own = command === "WRITE" ? { time } : { parent: id };
    const body = Buffer.concat([ioBytes({ id, size, ...own, ...io }), data]);
    const [answer] = await this.send({ command: commands[command], id, group: 1, ...more }, body);
    if (!answer) throw new Error("no answer");
    return answer;
  }

  /** Stores a key as the original driver's `put_content` does: with tags, and a marker for each folder above. */
  async putContent(path: string, content: string | Buffer, group = 1): Promise<void> {
    await this.#putTagged(path, content.length === 0 ? "EMPTY" : content, group);
    for (let folder = parentOf(path); ; folder = parentOf(folder)) {
      await this.#putTagged(folder, "DIRECTORY", group);
      if (folder === "") return;
    }
  }

  /** As the original's `stream_write`: 128 KiB at once, each after the first appended. */
  async streamWrite(path: string, content: Buffer, group = 1): Promise<void> {
    const block = 131_072;
    await this.putContent(path, content.subarray(0, block), group);
    for (let at = block; at < content.length; at += block) {
      await this.#written(path, content.subarray(at, at + block), group, 2);
    }
  }

  /** All bytes of a key in a group, undefined where nothing is. */
  async content(key: string, group = 1, namespace?: string): Promise<Buffer | undefined> {
    const { header, body } = await this.io("READ", keyId(key, namespace), {}, undefined, { group });
    return header.status === 0 ? body.subarray(ioSize) : undefined;
  }

  /** The keys in a folder as the original driver's `list_directory` finds them, sorted. */
  async keysIn(folder: string, group = 1): Promise<readonly string[]> {
    const keys: string[] = [];
    for (let shard = 0; shard < this.shards; shard++) {
      const [answer] = await this.find(["docker", folder], shard, group);
      if (answer?.header.status === 0) keys.push(...dataIn(answer.body));
    }
    return keys.sort();
  }

  /** Tags a key as the original client's `update_indexes` does. */
  async tag(key: string, tags: readonly string[], group = 1, shards = this.shards): Promise<void> {
    const id = keyId(key);
    const shard = shardOf(id, shards);
    const data = Buffer.from(key);
    const entries = tags.map((tag) => ({ id: keyId(tag), flags: 0, shard: 0, shards: 0, data }));
    const request = { id, group, flags: 4, shard: 0, shards: 0, entries };
    await this.send(
      { command: commands.INDEXES_UPDATE, id: objectTableId(id), group },
      tagRequestBytes(request),
    );
    for (const tag of tags) {
      const table = indexTableId(keyId(tag), shard, shards);
      const entry = { id: table, flags: 1, shard, shards, data };
      const insert = tagRequestBytes({ id, group: 0, flags: 0, shard, shards, entries: [entry] });
      await this.send({ command: commands.INDEXES_INTERNAL, id: table, group }, insert);
    }
  } // prettier-ignore

  /** The frames that answer a search for what has all tags, in one shard. */
  async find(tags: readonly string[], shard: number, group = 1): Promise<readonly Frame[]> {
    const entries = tags.map((tag) => ({ id: indexTableId(keyId(tag), shard, this.shards), flags: 0, shard: 0, shards: 0, data: Buffer.alloc(0) })); // prettier-ignore
    const id = entries[0]?.id ?? Buffer.alloc(64);
    const body = tagRequestBytes({ id, group, flags: 1, shard: 0, shards: 0, entries });
    return await this.send({ command: commands.INDEXES_FIND, id, group }, body);
  }

  close(): void {
    this.socket.destroy();
  }

  async #putTagged(key: string, content: string | Buffer, group: number): Promise<void> {
    await this.#written(key, Buffer.from(content), group, 0);
    await this.tag(key, ["docker", parentOf(key)], group);
  }

  async #written(key: string, data: Buffer, group: number, flags: number): Promise<void> {
    const { header } = await this.io("WRITE", keyId(key), { flags }, data, { group });
    if (header.status !== 0) throw new Error(`WRITE of ${key}: ${header.status}`);
  }

  #take(chunk: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    while (this.#rest.length >= headerSize) {
      const header = parseHeader(this.#rest);
      const end = headerSize + header.size;
      if (this.#rest.length < end) return;
      const body = Buffer.from(this.#rest.subarray(headerSize, end));
      this.#rest = this.#rest.subarray(end);
      const asked = this.#asked.get(header.transaction);
      if ((header.flags & flag.reply) === 0 || !asked) {
        this.unasked.push({ header, body });
        continue;
      }
      asked.frames.push({ header, body });
      if ((header.flags & flag.more) !== 0) continue;
      this.#asked.delete(header.transaction);
      asked.done(asked.frames);
    }
  }
}

/** What is kept with the first of two tags, in an answer to FIND: as short as the keys of tests. */
function dataIn(body: Buffer): readonly string[] {
  const found: string[] = [];
  // The ids are of a fixed length, so each object begins where the one before ends.
  for (let at = (body[0] ?? 0) === 0xdc ? 3 : 1; at < body.length;) {
    at += 2 + 3 + 64 + 1;
    for (let tag = 0; tag < 2; tag++) {
      at += 1 + 3 + 64;
      const head = body[at] ?? 0;
      const isShort = head < 0xda;
      const length = isShort ? head & 0x1f : body.readUInt16BE(at + 1);
      at += isShort ? 1 : 3;
      if (tag === 0) found.push(body.toString("utf8", at, at + length));
      at += length;
    }
  }
  return found;
}

/** Python's `os.path.dirname` of a key. */
function parentOf(key: string): string {
  return key.slice(0, Math.max(0, key.lastIndexOf("/")));
}
