/*
 * How the supervisor learns what its workers have counted: it asks all of them, and they answer. What a worker had counted
 * that is no more stays in the sum, so that this does not shrink.
 */
import type { Snapshot } from "./metrics/snapshot.ts";

/** What the supervisor and workers tell each other. */
export interface MetricsMessage {
  readonly metrics: "asked" | "counted";
  readonly id: number;
  readonly snapshot?: readonly Snapshot[];
}

/** The supervisor's line to a worker. */
export interface MetricsLine {
  send(message: MetricsMessage): void;
}

/** What adds up what workers have counted that are no more. */
type Total = (snapshots: readonly (readonly Snapshot[])[]) => Promise<readonly Snapshot[]>;

/** How long a worker may take to answer, in milliseconds; then what it said last counts. */
const patience = 2_000;

/** The supervisor's part. */
export class MetricsGathering {
  readonly #total: Total;
  readonly #patience: number;
  /** What each worker said last. */
  readonly #last = new Map<MetricsLine, readonly Snapshot[]>();
  readonly #asked = new Map<number, (snapshot: readonly Snapshot[]) => void>();
  #gone: Promise<readonly Snapshot[]> = Promise.resolve([]);
  #number = 0;

  constructor(total: Total, longest = patience) {
    this.#total = total;
    this.#patience = longest;
  }

  /** From now on the worker is asked, too. */
  join(line: MetricsLine): void {
    this.#last.set(line, []);
  }

  /** A worker has ended. */
  leave(line: MetricsLine): void {
    const last = this.#last.get(line);
    if (!last || !this.#last.delete(line)) return;
    const before = this.#gone;
    this.#gone = before.then(async (gone) => await this.#total([gone, last]));
  }

  /** Takes what a worker sends; messages about other things are ignored. */
  receive(message: unknown): void {
    if (isMessage(message, "counted")) this.#asked.get(message.id)?.(message.snapshot ?? []);
  }

  /** What all workers have counted, each for itself, and those that are no more together. */
  async snapshots(): Promise<readonly (readonly Snapshot[])[]> {
    const now = await Promise.all([...this.#last.keys()].map(async (line) => await this.#ask(line)));
    return [...now, await this.#gone];
  }

  async #ask(line: MetricsLine): Promise<readonly Snapshot[]> {
    const id = ++this.#number;
    const snapshot = await new Promise<readonly Snapshot[] | undefined>((resolve) => {
      const timer = setTimeout(resolve, this.#patience, undefined);
      this.#asked.set(id, (counted) => {
        clearTimeout(timer);
        resolve(counted);
      });
      line.send({ metrics: "asked", id });
    });
    this.#asked.delete(id);
    // One that has ended meanwhile is among those that are no more.
    if (!this.#last.has(line)) return [];
    if (snapshot) this.#last.set(line, snapshot);
    return this.#last.get(line) ?? [];
  }
}

/** A worker's part: answers with what it has counted once `tell` is known. */
export class MetricsAnswering {
  readonly #send: (message: MetricsMessage) => void;
  #snapshot: () => Promise<readonly Snapshot[]> = async () => await Promise.resolve([]);

  constructor(send: (message: MetricsMessage) => void) {
    this.#send = send;
  }

  /** What is answered from now on. */
  tell(snapshot: () => Promise<readonly Snapshot[]>): void {
    this.#snapshot = snapshot;
  }

  /** Takes what the supervisor sends; messages about other things are ignored. */
  receive(message: unknown): void {
    if (!isMessage(message, "asked")) return;
    void this.#snapshot().then((snapshot) => {
      this.#send({ metrics: "counted", id: message.id, snapshot });
    });
  }
}

function isMessage(value: unknown, kind: MetricsMessage["metrics"]): value is MetricsMessage {
  return typeof value === "object" && value !== null && "metrics" in value && value.metrics === kind;
}
