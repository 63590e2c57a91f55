/*
 * How the workers of a server count failed logins together: who guesses has no more tries at many workers than at one. The
 * supervisor counts; what a worker that dies had not ended counts as failed.
 */
import { Attempts, tooManyFailures, type Attempt, type FailureCount, type Outcome } from "./accounts/attempts.ts";
import { RegistryError } from "./errors.ts";

/** What workers and the supervisor tell each other about the attempt of that number, which is the worker's own. */
export type AttemptMessage =
  | { readonly attempt: "begun"; readonly id: number; readonly name: string; readonly address: string }
  | { readonly attempt: "counted"; readonly id: number; readonly isKnown: boolean }
  | { readonly attempt: "refused"; readonly id: number; readonly seconds: number }
  | { readonly attempt: "ended"; readonly id: number; readonly outcome: Outcome };

/** The supervisor's line to a worker. */
export interface AttemptLine {
  send(message: AttemptMessage): void;
}

/** The supervisor's part. */
export class AttemptCounting {
  readonly #attempts: Attempts;
  /** Those that are going on at each worker, by number. */
  readonly #running = new Map<AttemptLine, Map<number, Attempt>>();

  constructor(attempts = new Attempts()) {
    this.#attempts = attempts;
  }

  /** Takes what a worker sends; messages about other things are ignored. */
  receive(line: AttemptLine, message: unknown): void {
    if (!isAttemptMessage(message)) return;
    const { id } = message;
    if (message.attempt === "begun") line.send(this.#begin(line, message));
    if (message.attempt !== "ended") return;
    this.#running.get(line)?.get(id)?.end(message.outcome);
    this.#running.get(line)?.delete(id);
  }

  /** A worker has ended. */
  leave(line: AttemptLine): void {
    this.#running.delete(line);
  }

  #begin(line: AttemptLine, { id, name, address }: Extract<AttemptMessage, { attempt: "begun" }>): AttemptMessage {
    try {
      const attempt = this.#attempts.begin(name, address);
      const running = this.#running.get(line) ?? new Map<number, Attempt>();
      this.#running.set(line, running.set(id, attempt));
      return { attempt: "counted", id, isKnown: attempt.isKnown };
    } catch (error) {
      if (!(error instanceof RegistryError)) throw error;
      return { attempt: "refused", id, seconds: error.retryAfter ?? 1 };
    }
  }
}

/** A worker's part. */
export class WorkerAttempts implements FailureCount {
  readonly #send: (message: AttemptMessage) => void;
  /** By number, what to do with the answer. */
  readonly #asked = new Map<number, (message: AttemptMessage) => void>();
  #last = 0;

  constructor(send: (message: AttemptMessage) => void) {
    this.#send = send;
  }

  async begin(name: string, address: string): Promise<Attempt> {
    const id = ++this.#last;
    const answer = await new Promise<AttemptMessage>((resolve) => {
      this.#asked.set(id, resolve);
      this.#send({ attempt: "begun", id, name, address });
    });
    this.#asked.delete(id);
    if (answer.attempt === "refused") throw tooManyFailures(answer.seconds);
    return {
      isKnown: answer.attempt === "counted" && answer.isKnown,
      end: (outcome) => {
        this.#send({ attempt: "ended", id, outcome });
      },
    };
  }

  /** Takes what the supervisor sends; messages about other things are ignored. */
  receive(message: unknown): void {
    if (isAttemptMessage(message)) this.#asked.get(message.id)?.(message);
  }
}

function isAttemptMessage(value: unknown): value is AttemptMessage {
  return typeof value === "object" && value !== null && "attempt" in value && "id" in value;
}
