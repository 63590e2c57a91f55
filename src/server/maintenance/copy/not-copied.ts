import { problem, type Problem, type ProblemKind } from "../../registry/bridge/problems.ts";

/** Why something is left out of a copy, as the source is; `message` is a clause such as `the blob … is missing`. */
export class NotCopied extends Error {
  override readonly name = "NotCopied";
  readonly kind: ProblemKind;
  readonly place: Partial<Problem>;

  constructor(kind: ProblemKind, message: string, place: Partial<Problem>, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
    this.place = place;
  }

  /** What is told of a name that is left out because of it. */
  of(what: string, place: Partial<Problem>): Problem {
    return problem(this.kind, `${this.message}: ${what} is not copied`, { ...this.place, ...place });
  }
}

/**
 * Waits for all, so that nothing goes on behind the back of whoever is told of the first failure; what the storage fails
 * with is told before what is left out.
 */
export async function settled(works: readonly Promise<unknown>[]): Promise<void> {
  const failed = (await Promise.allSettled(works)).filter((outcome) => outcome.status === "rejected");
  const worst = failed.find(({ reason }) => !(reason instanceof NotCopied)) ?? failed[0];
  if (worst) throw worst.reason;
}
