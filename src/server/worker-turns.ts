/*
 * How the workers of a server take turns: one at a time does what reads, changes and writes the same document. The
 * supervisor hands the turns out; a worker's death frees those that it had or waited for.
 */
import { DriverError } from "../drivers/storage/errors.ts";
import { KeyedLock, type Turns } from "./registry/keyed-lock.ts";

/** What workers and the supervisor tell each other about the turn of that number, which is the worker's own. */
export interface TurnMessage {
  readonly turn: "asked" | "given" | "ended" | "checked" | "going on";
  readonly id: number;
  /** What it is a turn at; of those that are asked for. */
  readonly key?: string;
}

/** The supervisor's line to a worker. */
export interface TurnLine {
  send(message: TurnMessage): void;
  /** Ends the worker. */
  kill(): void;
}

/** How long, in milliseconds, a worker may have a turn without a sign of life, and then how long it may take to give one. */
const patience = 15_000;
/** How long a task may wait for its turn, in milliseconds, before its client is told to come again. */
const longestWait = 60_000;

interface Turn {
  readonly line: TurnLine;
  readonly id: number;
  readonly key: string;
  timer?: NodeJS.Timeout;
}

/** The supervisor's part: at most one worker at a time has the turn at a key; they get it in the order they asked. */
export class TurnTaking {
  readonly #patience: number;
  /** By key; the first has it. */
  readonly #queues = new Map<string, Turn[]>();

  /** A worker that has a turn and gives no sign of life for twice `longest` milliseconds is killed. */
  constructor(longest = patience) {
    this.#patience = longest;
  }

  /** Takes what a worker sends; messages about other things are ignored. */
  receive(line: TurnLine, message: unknown): void {
    if (!isTurnMessage(message)) return;
    const { turn, id, key } = message;
    if (turn === "asked" && key !== undefined) this.#add({ line, id, key });
    if (turn === "ended") this.#remove((each) => each.line === line && each.id === id);
    if (turn === "going on") {
      for (const [first] of this.#queues.values()) if (first?.line === line && first.id === id) this.#watch(first);
    }
  }

  /** A worker has ended: others get what it had. */
  leave(line: TurnLine): void {
    this.#remove((each) => each.line === line);
  }

  #add(turn: Turn): void {
    const queue = this.#queues.get(turn.key);
    if (queue) {
      queue.push(turn);
      return;
    }
    this.#queues.set(turn.key, [turn]);
    this.#give(turn);
  }

  #remove(isMeant: (turn: Turn) => boolean): void {
    for (const [key, queue] of this.#queues) {
      const [first] = queue;
      const rest = queue.filter((turn) => !isMeant(turn));
      if (rest.length === queue.length) continue;
      for (const turn of queue) if (isMeant(turn)) clearTimeout(turn.timer);
      const [next] = rest;
      if (next) this.#queues.set(key, rest);
      else this.#queues.delete(key);
      if (next && next !== first) this.#give(next);
    }
  }

  #give(turn: Turn): void {
    turn.line.send({ turn: "given", id: turn.id });
    this.#watch(turn);
  }

  /** Looks later whether the worker still lives. One whose task takes long does; one that hangs would stop all others. */
  #watch(turn: Turn): void {
    clearTimeout(turn.timer);
    turn.timer = setTimeout(() => {
      turn.timer = setTimeout(() => {
        turn.line.kill();
      }, this.#patience).unref();
      turn.line.send({ turn: "checked", id: turn.id });
    }, this.#patience).unref();
  }
}

/**
 * A worker's part. Tasks wait for each other in this process first, so that of each key one at most is asked for. One that
 * has waited too long rejects with UNAVAILABLE, without having begun.
 */
export class WorkerTurns implements Turns {
  readonly #send: (message: TurnMessage) => void;
  readonly #longest: number;
  readonly #own = new KeyedLock();
  /** By number, what to do once a turn is given. */
  readonly #asked = new Map<number, () => void>();
  #last = 0;

  constructor(send: (message: TurnMessage) => void, longest = longestWait) {
    this.#send = send;
    this.#longest = longest;
  }

  async run<T>(key: string, task: () => Promise<T>): Promise<T> {
    return await this.#own.run(key, async () => {
      const id = ++this.#last;
      try {
        await this.#given(id, key);
        return await task();
      } finally {
        this.#asked.delete(id);
        this.#send({ turn: "ended", id });
      }
    });
  }

  /** Takes what the supervisor sends; messages about other things are ignored. */
  receive(message: unknown): void {
    if (!isTurnMessage(message)) return;
    if (message.turn === "given") this.#asked.get(message.id)?.();
    if (message.turn === "checked") this.#send({ turn: "going on", id: message.id });
  }

  async #given(id: number, key: string): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new DriverError("UNAVAILABLE", `others have been changing ${key} for ${this.#longest / 1000} s`));
      }, this.#longest);
      this.#asked.set(id, () => {
        clearTimeout(timer);
        resolve();
      });
      this.#send({ turn: "asked", id, key });
    });
  }
}

function isTurnMessage(value: unknown): value is TurnMessage {
  return typeof value === "object" && value !== null && "turn" in value && "id" in value;
}
