import { randomUUID } from "node:crypto";
import type { Cache, CacheAnswer, CacheChange } from "./cache.ts";
import { RedisLink, type RedisSettings } from "./redis-link.ts";

export type { RedisSettings } from "./redis-link.ts";

/** How a Redis cache behaves; times in milliseconds. */
export interface RedisOptions {
  /** Told when Redis stops answering, and when it answers again; once each time. */
  readonly onState?: (message: string) => void;
  /** What the keys begin with. Registries with different stores need different ones. */
  readonly prefix?: string;
  /** A command that takes longer counts as lost. */
  readonly patience?: number;
  /** How long a value is kept at most. */
  readonly keep?: number;
  /** How long a change waits for the connection to come back that was lost while it was announced. */
  readonly recovery?: number;
}

/**
 * The protocol of `Cache` in Redis, each step one script, so that it is atomic. Answers at once; connects meanwhile.
 * Below the prefix there are `epoch`, and for each key `<epoch>:value:<key>` and `<epoch>:token:<key>`: the lease of a
 * reader or the mark of a change that is not done. Redis may evict any of them: without its token a value is not set,
 * and a missing epoch is made anew, which forgets everything.
 *
 * Changes that Redis was not told of (it was away, or its answer was lost) would leave old copies behind. So every new
 * connection begins with a new epoch, and a connection that has lost a command is given up. A change whose announcement was
 * lost waits a moment for the next connection, so that others see it however slow Redis is. What is left: while one server can't reach a Redis that others can, or dies in the middle of a change, the others may see a copy that is
 * older than the truth for as long as values are kept: a minute.
 */
export function openRedis(settings: RedisSettings, options: RedisOptions = {}): Cache {
  return new RedisCache(settings, options);
}

/** Every script begins so: ARGV[1] is the prefix, [2] the key, [3] a token, which also does for a new epoch. */
const begin = `
  local epoch = redis.call("GET", ARGV[1] .. "epoch")
  if not epoch then
    epoch = ARGV[3]
    redis.call("SET", ARGV[1] .. "epoch", epoch)
  end
  local value = ARGV[1] .. epoch .. ":value:" .. ARGV[2]
  local token = ARGV[1] .. epoch .. ":token:" .. ARGV[2]
`;

/** Answers the value; or whether the lease is granted. ARGV[4]: how long a lease lasts. */
const readScript = `${begin}
  local found = redis.call("GET", value)
  if found then return found end
  return redis.call("SET", token, ARGV[3], "NX", "PX", ARGV[4]) and 1 or 0
`;

/** ARGV[4]: the value, [5]: how long it is kept. */
const fillScript = `${begin}
  if redis.call("GET", token) ~= ARGV[3] then return 0 end
  redis.call("DEL", token)
  redis.call("SET", value, ARGV[4], "PX", ARGV[5])
  return 1
`;

/** ARGV[4]: how long a change may take before others may set the value again. */
const changeScript = `${begin}
  redis.call("DEL", value)
  redis.call("SET", token, ARGV[3], "PX", ARGV[4])
  return 1
`;

/** ARGV[4] and [5] as in fill; absent when the value is not known. */
const doneScript = `${begin}
  local alone = redis.call("GET", token) == ARGV[3]
  redis.call("DEL", value, token)
  if alone and ARGV[4] then redis.call("SET", value, ARGV[4], "PX", ARGV[5]) end
  return 1
`;

const leaseTime = 10_000;
const changeTime = 60_000;

class RedisCache implements Cache {
  readonly name = "redis";
  readonly #link: RedisLink;
  readonly #prefix: string;
  readonly #keep: number;
  readonly #recovery: number;

  constructor(
    settings: RedisSettings,
    { onState, prefix = "registryctl", patience = 50, keep = 60_000, recovery = 1_000 }: RedisOptions,
  ) {
    this.#prefix = `${prefix}:`;
    this.#keep = keep;
    this.#recovery = recovery;
    this.#link = new RedisLink(settings, {
      patience,
      onState: onState ?? (() => undefined),
      greeting: () => ["SET", `${this.#prefix}epoch`, randomUUID()],
    });
  }

  async read(key: string): Promise<CacheAnswer> {
    const token = randomUUID();
    const answer = await this.#run(readScript, key, token, leaseTime);
    if (answer instanceof Uint8Array) return { value: answer };
    if (answer !== 1) return {};
    return {
      fill: async (value) => {
        await this.#run(fillScript, key, token, Buffer.from(value), this.#keep);
      },
    };
  }

  async change(key: string): Promise<CacheChange> {
    const token = randomUUID();
    const wasUp = this.#link.isUp;
    const isTold = await this.#announce(changeScript, key, token, changeTime);
    // Others may have the old value until there is a new epoch; after that it may be announced as before.
    if (!isTold && wasUp && (await this.#link.isBack(this.#recovery))) {
      await this.#announce(changeScript, key, token, changeTime);
    }
    return {
      done: async (value) => {
        const known = value === undefined ? [] : [Buffer.from(value), this.#keep];
        await this.#announce(doneScript, key, token, ...known);
      },
    };
  }

  async ping(): Promise<void> {
    await this.#link.ping();
  }

  async close(): Promise<void> {
    await this.#link.close();
  }

  async #run(script: string, ...values: readonly (string | number | Buffer)[]): Promise<unknown> {
    return await this.#link.command("EVAL", script, 0, this.#prefix, ...values);
  }

  /** Runs what Redis must not miss: when it does, it may not be believed any more. Answers whether it did not. */
  async #announce(script: string, ...values: readonly (string | number | Buffer)[]): Promise<boolean> {
    const answer = await this.#run(script, ...values);
    if (answer === undefined) this.#link.distrust();
    return answer !== undefined;
  }
}
