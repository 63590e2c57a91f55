import { Redis } from "ioredis";
import { defineStorage, indexed, option, z } from "registryctl/driver";

const description = "The Redis server, such as redis://:password@127.0.0.1:6379/0; let it write all it holds to disk.";
const options = z.object({ redis_url: option(z.url({ protocol: /^rediss?$/ }), { description, secret: true }) });

// "names" has the keys in order, "texts" what is known of each, "data:ID" the bytes, which expire unless a text names them.
const replace = `local old, new, data = redis.call("HGET", "texts", KEYS[1]), ARGV[1], "data:" .. string.sub(ARGV[1], 1, 36)
  if new ~= "" and redis.call("PERSIST", data) == 0 and not string.find(new, " 0 ", 37, true) then
    return redis.error_reply("the content took more than an hour to come on")
  end
  if old then redis.call("EXPIRE", "data:" .. string.sub(old, 1, 36), 3600) end
  if new == "" then redis.call("ZREM", "names", KEYS[1]) return redis.call("HDEL", "texts", KEYS[1]) end
  redis.call("ZADD", "names", 0, KEYS[1])
  return redis.call("HSET", "texts", KEYS[1], new)`;

async function open({ redis_url }) {
  const redis = new Redis(redis_url, { maxRetriesPerRequest: 1 }).on("error", () => undefined);
  return indexed({
    name: "Redis",
    append: async (id, bytes) => {
      const [size] = await Promise.all([redis.append(`data:${id}`, bytes), redis.expire(`data:${id}`, 3600)]);
      return size;
    },
    slice: (id, start, end) => redis.getrangeBuffer(`data:${id}`, start, end - 1),
    texts: (keys) => redis.hmget("texts", ...keys),
    replace: (key, text = "") => redis.eval(replace, 1, key, text),
    keys: (after, before, limit) => {
      const [first, last] = [after === "" ? "-" : `(${after}`, before === undefined ? "+" : `(${before}`];
      return redis.zrangebylex("names", first, last, "LIMIT", 0, limit);
    },
    close: async () => redis.disconnect(),
  });
}

export default defineStorage({ name: "redis", summary: "A Redis server.", options, open });
