import { Redis } from "ioredis";

/** Where Redis is. */
export interface RedisSettings {
  readonly host: string;
  readonly port: number;
  readonly db: number;
  readonly password?: string | undefined;
}

type Word = string | number | Buffer;

interface LinkOptions {
  readonly patience: number;
  readonly onState: (message: string) => void;
  /** The command that a connection begins with, made anew each time; nothing else is sent before it is answered. */
  readonly greeting: () => readonly [string, ...Word[]];
}

const longestPause = 5_000;
/** Milliseconds for all that comes before the first command. */
const connectTime = 5_000;

/**
 * A connection to a Redis that nobody waits for. A command is answered within the patience or not at all; after one
 * that was not, the connection is given up, and until the next one stands no command is tried.
 */
export class RedisLink {
  readonly #redis: Redis;
  readonly #where: string;
  readonly #options: LinkOptions;
  /** Counts connections, so that a late failure of an old one doesn't end the new one. */
  #connection = 0;
  #up = false;
  #failures = 0;
  #distrusted = 0;
  /** Why it is down: the first thing that went wrong, what follows from it is less telling. */
  #reason: Error | undefined;
  #reported: "up" | "down" | undefined;
  #watchdog: NodeJS.Timeout | undefined;
  /** Told when the connection is up again. */
  #waiting: (() => void)[] = [];
  #settle: () => void = () => undefined;
  readonly #settled = new Promise<void>((resolve) => (this.#settle = resolve));

  constructor({ host, port, db, password }: RedisSettings, options: LinkOptions) {
    this.#where = `Redis at ${host}:${port}`;
    this.#options = options;
    this.#redis = new Redis({
      host,
      port,
      db,
      ...(password !== undefined && { password }),
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: 0,
      connectTimeout: connectTime,
      disconnectTimeout: options.patience,
      disableClientInfo: true,
      retryStrategy: () => this.#pause(),
    });
    this.#redis.on("connect", () => {
      this.#reason = undefined;
      this.#watchdog = setTimeout(() => {
        this.#giveUp(new Error("it accepts connections and does not answer"));
      }, connectTime);
    });
    this.#redis.on("ready", () => void this.#greet());
    this.#redis.on("error", (error: Error) => {
      this.#giveUp(error);
    });
    this.#redis.on("close", () => {
      this.#lost(new Error("the connection was closed"));
    });
  }

  /** The answer, or undefined when there is none. */
  async command(...words: readonly [string, ...Word[]]): Promise<unknown> {
    if (!this.#up) return undefined;
    const connection = this.#connection;
    try {
      return await this.#answered(words);
    } catch (error) {
      if (connection === this.#connection) this.#giveUp(error);
      return undefined;
    }
  }

  /** Whether commands are tried. */
  get isUp(): boolean {
    return this.#up;
  }

  /** Resolves when commands are tried again after a greeting; to false when that takes longer than so many milliseconds. */
  async isBack(within: number): Promise<boolean> {
    if (this.#up) return true;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#waiting.push(resolve);
      timer = setTimeout(resolve, within);
    });
    clearTimeout(timer);
    return this.#up;
  }

  /** Something has happened that Redis should have been told of: it is believed again after a new greeting. */
  distrust(): void {
    this.#distrusted += 1;
  }

  /**
   * Rejects with the reason when Redis does not answer now. Waits for the first attempt to connect to succeed or fail.
   */
  async ping(): Promise<void> {
    await this.#settled;
    if ((await this.command("PING")) === undefined) {
      const reason = this.#reason?.message ?? "not connected yet";
      throw new Error(`${this.#where} does not answer: ${reason}`, { cause: this.#reason });
    }
  }

  async close(): Promise<void> {
    await Promise.resolve();
    // That it is closed on purpose is not worth a message.
    this.#reported = "down";
    this.#reason = undefined;
    this.#lost(new Error("closed"));
    this.#tellWaiting();
    this.#redis.disconnect();
  }

  /** Opens the connection for commands, once Redis has had a greeting after the last thing that it missed. */
  async #greet(): Promise<void> {
    const connection = this.#connection;
    try {
      let distrusted: number;
      do {
        distrusted = this.#distrusted;
        await this.#answered(this.#options.greeting());
      } while (distrusted !== this.#distrusted);
    } catch (error) {
      if (connection === this.#connection) this.#giveUp(error);
      return;
    }
    if (connection !== this.#connection) return;
    clearTimeout(this.#watchdog);
    this.#up = true;
    this.#tellWaiting();
    this.#reason = undefined;
    this.#failures = 0;
    this.#report("up", `${this.#where} answers again: the cache is used`);
  }

  async #answered([name, ...rest]: readonly [string, ...Word[]]): Promise<unknown> {
    const answer = this.#redis.callBuffer(name, rest);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        // After a turn that took long the answer may be there already, unread: one more turn lets it come first.
        setImmediate(() => {
          reject(new Error(`no answer within ${this.#options.patience} ms`));
        });
      }, this.#options.patience);
    });
    try {
      return await Promise.race([answer, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  #giveUp(cause: unknown): void {
    this.#lost(cause instanceof Error ? cause : new Error(String(cause)));
    this.#redis.disconnect(true);
  }

  #lost(reason: Error): void {
    clearTimeout(this.#watchdog);
    this.#connection += 1;
    this.#up = false;
    this.#reason ??= reason;
    this.#report("down", `${this.#where} does not answer (${this.#reason.message}): going on without the cache`);
  }

  #tellWaiting(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const tell of waiting) tell();
  }

  #pause(): number {
    this.#failures += 1;
    const longest = Math.min(longestPause, 50 * 2 ** Math.min(this.#failures, 10));
    return longest / 2 + (Math.random() * longest) / 2;
  }

  /** Tells of changes only; that the first connection works is none. */
  #report(state: "up" | "down", message: string): void {
    this.#settle();
    const before = this.#reported;
    this.#reported = state;
    if (before !== state && !(before === undefined && state === "up")) this.#options.onState(message);
  }
}
