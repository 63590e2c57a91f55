import { within } from "../patience.ts";
import { causesOf } from "./causes.ts";
import { Limit } from "./limit.ts";
import type { Fault, Reporter } from "./reporter.ts";
import { scrubbedLine } from "./scrub.ts";

export interface ReporterContext {
  /** Told, once per outage, that faults cannot be sent and why, and that they can again. Never holds a secret. */
  readonly log: (message: string) => void;
  /** How much is sent: five in a minute unless given. */
  readonly limit?: Limit;
  /** How long `close` waits for what is being sent; 4 seconds unless given. */
  readonly closeSeconds?: number;
}

/** Sends one fault, and how many others before it were not told. Rejects when it isn't delivered, or when aborted. */
export type Send = (fault: Fault, untold: number, signal: AbortSignal) => Promise<void>;

const sendSeconds = 20;

/** How many wait while one is being sent: a server that hangs must not make them pile up. */
const waiting = 10;

/**
 * What all reporters have in common: faults are sent one at a time and only a few in a minute. The others are counted, and
 * the next that is sent tells their number; so are those that could not be sent.
 */
export class QueuedReporter implements Reporter {
  readonly name: string;
  readonly #send: Send;
  readonly #context: ReporterContext;
  readonly #limit: Limit;
  readonly #queue: Fault[] = [];
  readonly #giveUp = new AbortController();
  #sending: Promise<void> | undefined;
  #untold = 0;
  #outage = false;
  #closed = false;

  constructor(name: string, send: Send, context: ReporterContext) {
    this.name = name;
    this.#send = send;
    this.#context = context;
    this.#limit = context.limit ?? new Limit(5, 60);
  }

  report(fault: Fault): void {
    if (this.#closed || this.#queue.length >= waiting || !this.#limit.take()) {
      this.#untold++;
      return;
    }
    this.#queue.push(fault);
    this.#sending ??= this.#drain();
  }

  async close(): Promise<void> {
    this.#closed = true;
    const timer = setTimeout(
      () => {
        this.#giveUp.abort(new Error("the server stopped before it was sent"));
      },
      (this.#context.closeSeconds ?? 4) * 1000,
    );
    await this.#sending;
    clearTimeout(timer);
    if (this.#untold > 0) this.#context.log(`${this.name}: ${this.#untold} faults were not told`);
    this.#untold = 0;
  }

  async #drain(): Promise<void> {
    // Not in the turn of the request that met the fault.
    await new Promise((resolve) => setImmediate(resolve));
    for (let fault = this.#queue.shift(); fault; fault = this.#queue.shift()) await this.#deliver(fault);
    this.#sending = undefined;
  }

  async #deliver(fault: Fault): Promise<void> {
    const untold = this.#untold;
    this.#untold = 0;
    try {
      const send = async (signal: AbortSignal): Promise<void> => {
        await this.#send(fault, untold, signal);
      };
      await within(sendSeconds * 1000, this.#giveUp.signal, send);
      if (this.#outage) this.#context.log(`${this.name}: faults can be told again`);
      this.#outage = false;
    } catch (error) {
      this.#untold += untold + 1;
      if (!this.#outage) this.#context.log(`${this.name}: faults cannot be told: ${reasonOf(error)}`);
      this.#outage = true;
    }
  }
}

/** The innermost reason: what `fetch` throws says nothing itself. */
function reasonOf(error: unknown): string {
  const chain = causesOf(error instanceof Error ? error : new Error(String(error)));
  return scrubbedLine(chain.map((each) => each.message || each.name).join(": "), 300);
}
