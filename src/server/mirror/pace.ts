import type { IncomingHttpHeaders } from "node:http";
import type { Log } from "../log.ts";
import { UpstreamFailure } from "./failure.ts";
import type { MirrorMeter } from "./meter.ts";

/** What an upstream has last said of how much it lets us ask. */
export interface Allowance {
  readonly limit: number;
  readonly remaining: number;
  /** When it allows more again, in milliseconds since 1970, if it says. */
  readonly reset?: number | undefined;
}

/** How long an upstream that is too busy is left alone when it doesn't say, in milliseconds. */
const usualPause = 10_000;
/** It may say what it wants: nobody is left alone for longer. */
const longestPause = 3_600_000;
/** So long after it failed, whoever has something in store need not ask it again, in milliseconds. */
const suspicion = 1_000;

/**
 * How an upstream wants to be asked: not at all for a while after a 429, or a 503 that says for how long. What it tells of
 * its limits, as Docker Hub (`ratelimit-remaining`) or GitHub does (`x-ratelimit-remaining`), goes to the log and is counted.
 */
export class Pace {
  readonly #who: string;
  readonly #log: Log;
  readonly #meter: MirrorMeter;
  #pausedUntil = 0;
  #failedAt = -Infinity;
  #allowance: Allowance | undefined;

  constructor(who: string, { log, meter }: { readonly log: Log; readonly meter: MirrorMeter }) {
    this.#who = who;
    this.#log = log;
    this.#meter = meter;
  }

  /** Throws a failure while the upstream wants to be left alone. */
  requireTurn(): void {
    const milliseconds = this.#pausedUntil - Date.now();
    if (milliseconds > 0) throw this.#busy(Math.ceil(milliseconds / 1000));
  }

  /** Whether it has just failed, so that what is in store will do. */
  get isSuspect(): boolean {
    return performance.now() - this.#failedAt < suspicion;
  }

  get allowance(): Allowance | undefined {
    return this.#allowance;
  }

  /** It did not answer. */
  failed(): void {
    this.#failedAt = performance.now();
  }

  /** Takes note of an answer. Answers the failure that a 429 is. */
  note(status: number, headers: IncomingHttpHeaders): UpstreamFailure | undefined {
    this.#noteAllowance(headers);
    if (status >= 500) {
      this.failed();
      const pause = retryAfter(headers);
      if (status === 503 && pause !== undefined) this.#pause(pause);
    } else if (status !== 429) {
      this.#failedAt = -Infinity;
    }
    if (status !== 429) return undefined;
    const pause = Math.min(retryAfter(headers) ?? usualPause, longestPause);
    this.#pause(pause);
    const seconds = Math.ceil(pause / 1000);
    this.#log.warn({ upstream: this.#who, seconds, ...this.#allowance }, "The mirrored registry allows no more requests for now"); // prettier-ignore
    return this.#busy(seconds);
  }

  #pause(milliseconds: number): void {
    this.#pausedUntil = Math.max(this.#pausedUntil, Date.now() + Math.min(milliseconds, longestPause));
    this.#meter.paused(this.#who, this.#pausedUntil);
  }

  #busy(seconds: number): UpstreamFailure {
    return new UpstreamFailure("busy", `${this.#who} allows no more requests for ${seconds} s`, {
      retryAfter: seconds,
    });
  }

  #noteAllowance(headers: IncomingHttpHeaders): void {
    const said = (what: string) => numberIn(headers[`ratelimit-${what}`] ?? headers[`x-ratelimit-${what}`]);
    const [limit, remaining] = [said("limit"), said("remaining")];
    if (limit === undefined || remaining === undefined) return;
    const before = this.#allowance?.remaining;
    this.#allowance = { limit, remaining, reset: timeOf(said("reset")) };
    this.#meter.allowed(this.#who, this.#allowance);
    if (remaining === before) return;
    const isLow = remaining * 10 < limit;
    const facts = { upstream: this.#who, limit, remaining };
    this.#log[isLow ? "warn" : "info"](facts, "What the mirrored registry still allows");
  }
}

/** `100;w=21600` is 100 requests in 21,600 s. */
function numberIn(value: string | string[] | undefined): number | undefined {
  const [, digits] = /^\s*(\d{1,10})\b/.exec(String(value ?? "")) ?? [];
  return digits === undefined ? undefined : Number(digits);
}

/** Seconds from now or, of GitHub, since 1970: nobody's window is thirty years long. */
function timeOf(seconds: number | undefined): number | undefined {
  return seconds === undefined ? undefined : seconds > 1e9 ? seconds * 1000 : Date.now() + seconds * 1000;
}

/** Milliseconds; the header holds seconds or a date. */
function retryAfter(headers: IncomingHttpHeaders): number | undefined {
  const text = headers["retry-after"];
  if (text === undefined) return undefined;
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000;
  const date = Date.parse(text);
  return Number.isNaN(date) ? undefined : Math.max(0, date - Date.now());
}
