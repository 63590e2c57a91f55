import type { DriverError } from "../errors.ts";
import { changeFailure, readFailure, status, statusOf, type GroupFailure } from "./failure.ts";

/** What a group has answered. */
export interface Answer<T> {
  readonly group: number;
  readonly value: T;
}

/** Which groups did something, in the order in which they answered, and why the others did not. */
export interface Outcome<T> {
  readonly done: readonly Answer<T>[];
  readonly failures: readonly GroupFailure[];
}

/**
 * Copies of the same objects, kept by clients alone. A change counts when more than half of them have made it; that it failed
 * undoes it nowhere. So of any two majorities one group is in both, and what so many groups miss that too few are left to
 * be a majority is missing.
 */
export class Groups {
  readonly numbers: readonly number[];

  constructor(numbers: readonly number[]) {
    this.numbers = numbers;
  }

  /** More than half. */
  get quorum(): number {
    return Math.floor(this.numbers.length / 2) + 1;
  }

  /** Of so many groups one has what a majority was told. */
  get witnesses(): number {
    return this.numbers.length - this.quorum + 1;
  }

  /** Does `work` for each of the groups at the same time. */
  async each<T>(work: (group: number) => Promise<T>, groups = this.numbers): Promise<Outcome<T>> {
    const done: Answer<T>[] = [];
    const failures: GroupFailure[] = [];
    await Promise.all(
      groups.map(async (group) => {
        try {
          done.push({ group, value: await work(group) });
        } catch (error) {
          failures.push({ group, error });
        }
      }),
    );
    return { done, failures };
  }

  /** What a change answered. Rejects, as `each` does not, where too few groups have made it. */
  majority<T>({ done, failures }: Outcome<T>, subject: string): readonly Answer<T>[] {
    if (done.length >= this.quorum) return done;
    const { length } = this.numbers;
    const counted = `${subject}: ${done.length} of ${length} groups did it, and ${this.quorum} have to`;
    throw changeFailure(failures, length === 1 ? subject : counted);
  }

  /** What was answered to a question whose answers are put together. Throws where those that are missing could tell more. */
  witnessed<T>({ done, failures }: Outcome<T>, subject: string): readonly Answer<T>[] {
    if (done.length < this.witnesses) throw changeFailure(failures, subject);
    return done;
  }

  /** Why nothing could be read: NOT_FOUND where enough groups miss it. */
  unread(failures: readonly GroupFailure[], subject: string): DriverError {
    const missing = failures.filter(({ error }) => statusOf(error) === status.missing);
    return readFailure(missing.length >= this.witnesses ? missing : failures, subject);
  }
}
