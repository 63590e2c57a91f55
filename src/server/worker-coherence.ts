/*
 * How the workers of a server tell each other what they have changed: worker → supervisor → every other worker, and the
 * same way back. What others remember of a key is gone before the worker that changed it goes on.
 */

/** Says that keys have changed, or without keys that anything may have. */
interface Change {
  readonly coherence: "changed";
  readonly id: number;
  readonly keys?: readonly string[];
}

/** Says that nothing is remembered any more of what the change of that number is about. */
interface Forgotten {
  readonly coherence: "forgotten";
  readonly id: number;
}

/** The supervisor's line to a worker. */
export interface Line {
  send(message: Change | Forgotten): void;
  /** Ends the worker. */
  kill(): void;
}

/** With more keys than this everything is forgotten: messages stay small, and many changes at a time are rare. */
const mostKeys = 1_000;
/**
 * How long a worker may take to forget, in milliseconds, before it is killed: others can't wait for ever for one that
 * hangs, nor go on while it may remember what is no more.
 */
const patience = 15_000;

/** The supervisor's part: passes on what workers tell. */
export class Exchange {
  readonly #patience: number;
  /** Who takes part, and what it was told and has not answered yet. */
  readonly #told = new Map<Line, Map<number, () => void>>();
  #last = 0;

  /** A worker that doesn't answer is killed after `longest` milliseconds. */
  constructor(longest = patience) {
    this.#patience = longest;
  }

  /** From now on the worker hears what others change. To be called before it reads anything. */
  join(line: Line): void {
    this.#told.set(line, new Map());
  }

  /** A worker has ended. It may have changed something that it could not tell any more: all others forget all. */
  leave(line: Line): void {
    const unanswered = this.#told.get(line);
    if (!unanswered || !this.#told.delete(line)) return;
    for (const answered of unanswered.values()) answered();
    for (const other of this.#told.keys()) void this.#ask(other, undefined);
  }

  /** Takes what a worker sends; messages about other things are ignored. */
  receive(line: Line, message: unknown): void {
    if (isMessage(message, "changed")) void this.#passOn(line, message);
    if (isMessage(message, "forgotten")) this.#told.get(line)?.get(message.id)?.();
  }

  async #passOn(from: Line, { id, keys }: Change): Promise<void> {
    const others = [...this.#told.keys()].filter((line) => line !== from);
    await Promise.all(others.map((line) => this.#ask(line, keys)));
    from.send({ coherence: "forgotten", id });
  }

  /** Resolves when the worker has forgotten, or has ended. */
  async #ask(line: Line, keys: readonly string[] | undefined): Promise<void> {
    const unanswered = this.#told.get(line);
    const id = ++this.#last;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => {
        line.kill();
      }, this.#patience).unref();
      unanswered?.set(id, () => {
        clearTimeout(timer);
        unanswered.delete(id);
        resolve();
      });
      line.send({ coherence: "changed", id, ...(keys && { keys }) });
    });
  }
}

/** A worker's part. `send` takes messages to the supervisor; they get lost only when this process is about to end. */
export class Announcer {
  readonly #send: (message: Change | Forgotten) => void;
  readonly #listeners: ((keys?: readonly string[]) => void)[] = [];
  readonly #sent = new Map<number, () => void>();
  #next: { readonly keys: Set<string>; readonly answered: Promise<void> } | undefined;
  #last = 0;

  constructor(send: (message: Change | Forgotten) => void) {
    this.#send = send;
  }

  /** As `Coherence.announce`. What is announced in one turn of the event loop is one message. */
  async announce(keys: readonly string[]): Promise<void> {
    this.#next ??= this.#begin();
    for (const key of keys) this.#next.keys.add(key);
    await this.#next.answered;
  }

  /** As `Coherence.listen`. */
  listen(forget: (keys?: readonly string[]) => void): void {
    this.#listeners.push(forget);
  }

  /** Takes what the supervisor sends; messages about other things are ignored. */
  receive(message: unknown): void {
    if (isMessage(message, "changed")) {
      for (const forget of this.#listeners) forget(message.keys);
      this.#send({ coherence: "forgotten", id: message.id });
    }
    if (isMessage(message, "forgotten")) this.#sent.get(message.id)?.();
  }

  #begin(): { readonly keys: Set<string>; readonly answered: Promise<void> } {
    const keys = new Set<string>();
    const answered = new Promise<void>((resolve) => {
      // Behind the callbacks of this turn: the writes that have ended with this one are announced with it.
      setImmediate(() => {
        this.#next = undefined;
        const id = ++this.#last;
        this.#sent.set(id, () => {
          this.#sent.delete(id);
          resolve();
        });
        this.#send({ coherence: "changed", id, ...(keys.size <= mostKeys && { keys: [...keys] }) });
      });
    });
    return { keys, answered };
  }
}

function isMessage(value: unknown, kind: "changed"): value is Change;
function isMessage(value: unknown, kind: "forgotten"): value is Forgotten;
function isMessage(value: unknown, kind: string): boolean {
  return typeof value === "object" && value !== null && "coherence" in value && value.coherence === kind;
}
