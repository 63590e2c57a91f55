import { Buffer } from "node:buffer";
import { randomUUID } from "node:crypto";
import { Readable } from "node:stream";
import { Redis } from "ioredis";
import {
  compareKeys,
  completed,
  defineStorage,
  DriverError,
  exactly,
  option,
  resolveRange,
  z,
} from "registryctl/driver";

const description = "The Redis server, such as redis://:password@127.0.0.1:6379/0; let it write all it holds to disk.";
const options = z.object({ redis_url: option(z.url({ protocol: /^rediss?$/ }), { description, secret: true }) });

// "names" has the keys in order, "facts" what is known of each, "data:ID" the bytes, which never change. Those that no
// key names any more are kept for an hour: somebody may be reading them.
const replace = `local old, new = redis.call("HGET", "facts", KEYS[1]), ARGV[1]
  if old then redis.call("EXPIRE", "data:" .. string.sub(old, 1, 36), 3600) end
  if new == "" then redis.call("ZREM", "names", KEYS[1]) return redis.call("HDEL", "facts", KEYS[1]) end
  redis.call("PERSIST", "data:" .. string.sub(new, 1, 36)) redis.call("ZADD", "names", 0, KEYS[1])
  return redis.call("HSET", "facts", KEYS[1], new)`;
const parse = ([id, size, time]) => ({ id, size: Number(size), modified: new Date(Number(time)) });

async function open({ redis_url }) {
  const redis = new Redis(redis_url, { maxRetriesPerRequest: 1 }).on("error", () => undefined);
  const ask = (command, ...values) =>
    redis[command](...values).catch((cause) => {
      throw new DriverError("UNAVAILABLE", `Redis: ${cause.message}`, { cause });
    });
  const stat = async (key) => {
    const facts = await ask("hget", "facts", key);
    if (facts === null) throw new DriverError("NOT_FOUND", `${key} does not exist`);
    return parse(facts.split(" "));
  };
  const read = async (key, range) => {
    const { id, size } = await stat(key);
    const { start, end } = resolveRange(range, size);
    return Readable.from(pieces(`data:${id}`, start, end), { objectMode: false });
  };
  async function* pieces(data, start, end, step = 262_144) {
    for (let at = start; at < end; at += step) yield ask("getrangeBuffer", data, at, Math.min(at + step, end) - 1);
  }
  const write = async (key, source, expected) => {
    const [id, modified] = [randomUUID(), new Date()];
    let size = 0;
    for await (const chunk of exactly(source, expected)) {
      const all = [ask("append", `data:${id}`, Buffer.from(chunk)), ask("expire", `data:${id}`, 3600)];
      [size] = await Promise.all(all);
    }
    await ask("eval", replace, 1, key, `${id} ${size} ${modified.getTime()}`);
    return { size, modified };
  };
  async function* list(prefix, after = "") {
    const [first, last] = prefix === "" ? ["", "+"] : [`${prefix}/`, `(${prefix}0`];
    let from = after !== "" && compareKeys(after, first) >= 0 ? `(${after}` : first === "" ? "-" : `[${first}`;
    for (let keys = [""]; keys.length > 0; from = `(${keys.at(-1)}`) {
      keys = await ask("zrangebylex", "names", from, last, "LIMIT", 0, 1000);
      const facts = keys.length === 0 ? [] : await ask("hmget", "facts", keys);
      for (const [at, key] of keys.entries()) if (facts[at]) yield { key, ...parse(facts[at].split(" ")) };
    }
  }
  const remove = async (key) => void (await ask("eval", replace, 1, key, ""));
  const close = async () => redis.disconnect();
  return completed({ name: "redis", read, write, stat, list, delete: remove, close });
}

export default defineStorage({ name: "redis", summary: "A Redis server.", options, open });
