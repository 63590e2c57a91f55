import cluster, { type Worker } from "node:cluster";
import { randomUUID } from "node:crypto";
import { milliseconds } from "./http/timeout.ts";
import type { Log } from "./log.ts";
import { FetchDesk, WorkerFetches, type FetchLine } from "./worker-fetches.ts";
import { Announcer, Exchange, type Line } from "./worker-coherence.ts";
import { MetricsAnswering, type MetricsGathering, type MetricsLine } from "./worker-metrics.ts";
import { AttemptCounting, WorkerAttempts, type AttemptLine } from "./worker-attempts.ts";
import { TurnTaking, WorkerTurns, type TurnLine } from "./worker-turns.ts";

/** What the supervising process needs to know. Times in seconds. */
export interface SuperviseOptions {
  readonly workers: number;
  readonly stop: AbortSignal;
  readonly cut: AbortSignal;
  readonly shutdownTimeout: number;
  readonly log: Log;
  readonly onListening?: ((url: string) => void) | undefined;
  /** Asks workers what they have counted. */
  readonly gathering?: MetricsGathering | undefined;
}

/** What a worker is told: which one it is (0 is the first), of which server, how to reach the others, when to stop. */
export interface Assignment {
  readonly group: string;
  readonly slot: number;
  readonly companions: Announcer;
  readonly turns: WorkerTurns;
  readonly attempts: WorkerAttempts;
  readonly metrics: MetricsAnswering;
  readonly peers: WorkerFetches;
  readonly stop: AbortSignal;
  readonly cut: AbortSignal;
}

/** A worker that lived this long failed by accident, not because it can't run; in milliseconds. */
const settled = 60_000;
/** Between the death of a worker and the start of the next, doubled with every early death, in milliseconds. */
const firstDelay = 100;
const longestDelay = 30_000;
/** So many deaths at the start in a row, with no worker left, and there is no point in going on. */
const mostFailures = 5;
/** What a worker may take beyond what it was given, or to end when it is done, in seconds, before it is killed. */
const grace = 15;

/**
 * Starts workers and replaces those that die, until told to stop; resolves with the exit code, 0 when all of them
 * ended well. When the very first can't start, nor will others: ends with its code.
 */
export async function supervise(options: SuperviseOptions): Promise<number> {
  return await new Promise((resolve) => {
    new Supervisor(options, resolve).start();
  });
}

/**
 * The worker's side of `supervise`: waits for its assignment and runs `work`, which calls `ready` once it serves.
 * `signals` are this process's own; a signal that a terminal sent to all processes counts once.
 */
export async function asWorker(
  signals: Pick<Assignment, "stop" | "cut">,
  work: (assignment: Assignment, ready: (url: string) => void) => Promise<void>,
): Promise<number> {
  const { worker } = cluster;
  if (!worker) throw new Error("This process is no worker");
  const stop = new AbortController();
  const cut = new AbortController();
  const send = (message: object): void => {
    // Without the supervisor this process ends by itself.
    if (worker.isConnected()) worker.send(message, () => undefined);
  };
  const companions = new Announcer(send);
  const turns = new WorkerTurns(send);
  const attempts = new WorkerAttempts(send);
  const metrics = new MetricsAnswering(send);
  const peers = new WorkerFetches(send);
  try {
    const place = await new Promise<Pick<Assignment, "group" | "slot">>((resolve) => {
      worker.on("message", (message: unknown) => {
        companions.receive(message);
        turns.receive(message);
        attempts.receive(message);
        metrics.receive(message);
        peers.receive(message);
        if (isMessage(message, "begin")) resolve({ group: message.group ?? "", slot: message.slot ?? 0 });
        if (isMessage(message, "stop")) stop.abort();
        if (isMessage(message, "cut")) cut.abort();
      });
      worker.send({ registryctl: "hello" } satisfies Message);
    });
    const assignment = {
      ...place,
      companions,
      turns,
      attempts,
      metrics,
      peers,
      stop: AbortSignal.any([signals.stop, stop.signal]),
      cut: AbortSignal.any([signals.cut, cut.signal]),
    };
    await work(assignment, (url) => worker.send({ registryctl: "ready", url } satisfies Message));
    return 0;
  } finally {
    if (worker.isConnected()) worker.disconnect();
  }
}

interface Message {
  readonly registryctl: "hello" | "begin" | "ready" | "stop" | "cut";
  readonly group?: string;
  readonly slot?: number;
  readonly url?: string;
}

function isMessage(value: unknown, kind: Message["registryctl"]): value is Message {
  return typeof value === "object" && value !== null && "registryctl" in value && value.registryctl === kind;
}

interface Slot {
  readonly number: number;
  worker?: Worker;
  readySince?: number | undefined;
  failures: number;
  restart?: NodeJS.Timeout;
}

class Supervisor {
  readonly #options: SuperviseOptions;
  readonly #end: (code: number) => void;
  readonly #slots: readonly Slot[];
  readonly #group = randomUUID();
  readonly #exchange = new Exchange();
  readonly #turns = new TurnTaking();
  readonly #fetches = new FetchDesk();
  readonly #attempts = new AttemptCounting();
  #served = false;
  #stopping = false;
  #exitCode = 0;

  constructor(options: SuperviseOptions, end: (code: number) => void) {
    this.#options = options;
    this.#end = end;
    this.#slots = Array.from({ length: options.workers }, (_, number) => ({ number, failures: 0 }));
  }

  start(): void {
    const { stop, cut } = this.#options;
    const [first] = this.#slots;
    if (!first || stop.aborted) {
      this.#end(0);
      return;
    }
    stop.addEventListener("abort", this.#stop, { once: true });
    cut.addEventListener("abort", this.#cut, { once: true });
    this.#fork(first);
  }

  #fork(slot: Slot): void {
    const worker = cluster.fork();
    slot.worker = worker;
    slot.readySince = undefined;
    const line = lineTo(worker);
    worker.on("message", (message: unknown) => {
      this.#exchange.receive(line, message);
      this.#turns.receive(line, message);
      this.#fetches.receive(line, message);
      this.#attempts.receive(line, message);
      this.#options.gathering?.receive(message);
      if (isMessage(message, "hello")) {
        this.#exchange.join(line);
        this.#greet(worker, slot);
      }
      if (isMessage(message, "ready")) {
        this.#options.gathering?.join(line);
        this.#ready(slot, message.url ?? "");
      }
    });
    worker.on("error", (error) => {
      this.#options.log.error({ err: error, worker: slot.number }, "a worker can't be reached");
    });
    worker.once("disconnect", () => {
      kill(worker, grace);
    });
    worker.once("exit", (code: number | null, signal: string | null) => {
      this.#exchange.leave(line);
      this.#turns.leave(line);
      this.#fetches.leave(line);
      this.#attempts.leave(line);
      this.#options.gathering?.leave(line);
      delete slot.worker;
      this.#ended(slot, code, signal);
    });
  }

  #greet(worker: Worker, { number }: Slot): void {
    tell(worker, { registryctl: "begin", group: this.#group, slot: number });
    if (this.#stopping) tell(worker, { registryctl: "stop" });
    if (this.#options.cut.aborted) tell(worker, { registryctl: "cut" });
  }

  #ready(slot: Slot, url: string): void {
    slot.readySince = performance.now();
    if (this.#served) return;
    this.#served = true;
    this.#options.onListening?.(url);
    if (!this.#stopping) for (const other of this.#slots.slice(1)) this.#fork(other);
  }

  #ended(slot: Slot, code: number | null, signal: string | null): void {
    const { log } = this.#options;
    if (this.#stopping) {
      if (code !== 0) this.#exitCode ||= code ?? 1;
      this.#endIfAlone();
      return;
    }
    const { readySince } = slot;
    slot.readySince = undefined;
    slot.failures = readySince !== undefined && performance.now() - readySince > settled ? 0 : slot.failures + 1;
    log.error({ worker: slot.number, code, signal }, "a worker ended unexpectedly");
    const hopeless = slot.failures >= mostFailures && !this.#slots.some((other) => other.readySince !== undefined);
    if (!this.#served || hopeless) {
      log.critical({ worker: slot.number }, "workers end at their start: giving up");
      this.#exitCode = code || 1;
      this.#stop();
      return;
    }
    const delay = Math.min(firstDelay * 2 ** slot.failures, longestDelay);
    slot.restart = setTimeout(() => {
      this.#fork(slot);
    }, delay);
  }

  readonly #stop = (): void => {
    if (this.#stopping) return;
    this.#stopping = true;
    for (const { restart } of this.#slots) clearTimeout(restart);
    this.#tellAll({ registryctl: "stop" });
    this.#killIn(this.#options.shutdownTimeout + grace);
    this.#endIfAlone();
  };

  readonly #cut = (): void => {
    this.#stop();
    this.#tellAll({ registryctl: "cut" });
    this.#killIn(grace);
  };

  #tellAll(message: Message): void {
    for (const { worker } of this.#slots) if (worker) tell(worker, message);
  }

  #killIn(seconds: number): void {
    for (const { worker } of this.#slots) if (worker) kill(worker, seconds);
  }

  #endIfAlone(): void {
    if (this.#slots.some(({ worker }) => worker !== undefined)) return;
    this.#options.stop.removeEventListener("abort", this.#stop);
    this.#options.cut.removeEventListener("abort", this.#cut);
    this.#end(this.#exitCode);
  }
}

/** Kills a worker that has not ended within `seconds`. */
function kill(worker: Worker, seconds: number): void {
  const timer = setTimeout(() => worker.process.kill("SIGKILL"), milliseconds(seconds)).unref();
  worker.once("exit", () => {
    clearTimeout(timer);
  });
}

/** A worker that is just ending can't be told anything; its exit is seen anyway. */
function tell(worker: Worker, message: object): void {
  if (worker.isConnected()) worker.send(message);
}

function lineTo(worker: Worker): Line & TurnLine & AttemptLine & FetchLine & MetricsLine {
  return {
    send: (message: object) => {
      tell(worker, message);
    },
    kill: () => {
      worker.process.kill("SIGKILL");
    },
  };
}
