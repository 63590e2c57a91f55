import type { Cluster } from "./cluster.ts";
import { EllipticsFailure, ProtocolError, readFailure, status, statusOf, type GroupFailure } from "./failure.ts";
import { command, type Command } from "./frame.ts";
import type { Answer, Groups } from "./groups.ts";
import { idOf } from "./ids.ts";
import {
  decodeContent,
  decodeFileInfo,
  encodeIo,
  ioFlag,
  ioSize,
  type Content,
  type FileInfo,
  type Moment,
} from "./structures.ts";

/** A frame that writes: a whole object, more of one, or a part of one that is written in steps. */
export type Step =
  | { readonly kind: "whole" }
  | { readonly kind: "append" }
  | { readonly kind: "prepare"; readonly total: number }
  | { readonly kind: "plain"; readonly offset: number }
  | { readonly kind: "commit"; readonly offset: number; readonly total: number };

/** An answer without content is shorter. */
export const smallAnswer = 65_536;

/** Objects by their names, in all groups of a cluster. */
export class Objects {
  readonly groups: Groups;
  readonly #cluster: Cluster;
  readonly #namespace: string;
  readonly #mixes: boolean;

  /** `mixes`: of groups that have the same, another is asked each time. */
  constructor(
    cluster: Cluster,
    groups: Groups,
    { namespace, mixes }: { readonly namespace: string; readonly mixes: boolean },
  ) {
    this.groups = groups;
    this.#cluster = cluster;
    this.#namespace = namespace;
    this.#mixes = mixes;
  }

  /** Of an object, and of a tag. */
  id(name: string): Buffer {
    return idOf(this.#namespace, name);
  }

  /** Answers the time that the object has now, and the groups that took it. Rejects where those are not more than half of all. */
  async write(
    name: string,
    bytes: Buffer,
    step: Step = { kind: "whole" },
    groups = this.groups.numbers,
  ): Promise<{ readonly modified: Date; readonly groups: readonly number[] }> {
    // Servers take an object without bytes for one that is missing.
    if (bytes.length === 0 && step.kind !== "commit") throw new RangeError("there is nothing to write");
    const id = this.id(name);
    const now = Date.now();
    const time = { seconds: Math.floor(now / 1_000), nanoseconds: (now % 1_000) * 1_000_000 };
    const io = encodeIo({ id, time, size: bytes.length, ...placeOf(step, bytes.length) });
    const outcome = await this.groups.each(async (group) => {
      await this.#routed(command.write, id, group, { body: [io, bytes] });
    }, groups);
    const done = this.groups.majority(outcome, `writing ${name}`);
    return { modified: dateOf(time), groups: done.map(({ group }) => group) };
  }

  /** What the groups that have the object know of it, newest first. NOT_FOUND where it is missing. */
  async lookup(name: string): Promise<readonly Answer<FileInfo>[]> {
    const id = this.id(name);
    const { done, failures } = await this.groups.each(async (group) => {
      const request = { command: command.lookup, id, group, longest: smallAnswer };
      return decodeFileInfo(Buffer.concat(await this.#cluster.request(request, false)));
    });
    if (done.length === 0) throw this.groups.unread(failures, name);
    const answers = this.#mixes ? done.toSorted(() => Math.random() - 0.5) : done;
    return answers.toSorted((a, b) => later(b.value.time, a.value.time));
  }

  /**
   * Reads `size` bytes, or less where the object ends, from the first of `groups` that answers what `accepts` takes. Rejects
   * with NOT_FOUND only where the object is missing.
   */
  async read(
    name: string,
    { offset, size }: { readonly offset: number; readonly size: number },
    groups = this.groups.numbers,
    accepts: (content: Content) => boolean = () => true,
  ): Promise<Content> {
    const id = this.id(name);
    const failures: GroupFailure[] = [];
    for (const group of groups) {
      try {
        const content = await this.readOf(id, group, offset, size);
        if (accepts(content)) return content;
        failures.push({ group, error: new EllipticsFailure(status.corrupt, "it is another object") });
      } catch (error) {
        failures.push({ group, error });
      }
    }
    throw groups.length === this.groups.numbers.length
      ? this.groups.unread(failures, name)
      : readFailure(failures, name);
  }

  /** Reads of one group, by id. Rejects with an `EllipticsFailure`. */
  async readOf(id: Buffer, group: number, offset: number, size: number): Promise<Content> {
    const body = [encodeIo({ parent: id, id, offset, size })];
    const bodies = await this.#routed(command.read, id, group, { body, longest: ioSize + size });
    const content = decodeContent(Buffer.concat(bodies));
    const expected = Math.min(size, content.totalSize - offset);
    if (content.offset === offset && content.bytes.length === expected) return content;
    throw new ProtocolError(`${content.bytes.length} bytes came instead of ${expected}`);
  }

  /**
   * Removes the object, but not its tags. Of several who remove it one is told that it was there; that it was is not said where it
   * had come to a minority of the groups. `isComplete`: no group is left that could still have it.
   */
  async remove(name: string): Promise<{ readonly wasThere: boolean; readonly isComplete: boolean }> {
    const id = this.id(name);
    const body = [encodeIo({ parent: id, id })];
    const outcome = await this.groups.each(async (group) => {
      try {
        await this.#routed(command.remove, id, group, { body });
        return true;
      } catch (error) {
        if (statusOf(error) === status.missing) return false;
        throw error;
      }
    });
    const had = this.groups.majority(outcome, `deleting ${name}`).filter(({ value }) => value);
    return { wasThere: had.length >= this.groups.quorum, isComplete: outcome.failures.length === 0 };
  }

  /** Rejects when so few groups answer that something could be missing. */
  async ping(): Promise<void> {
    const id = this.id("registryctl//ping");
    const outcome = await this.groups.each(async (group) => {
      try {
        await this.#cluster.request({ command: command.lookup, id, group, longest: smallAnswer }, false);
      } catch (error) {
        if (statusOf(error) !== status.missing) throw error;
      }
    });
    this.groups.witnessed(outcome, "Elliptics");
  }

  async #routed(
    kind: Command,
    id: Buffer,
    group: number,
    { body, longest = smallAnswer }: { readonly body: readonly Buffer[]; readonly longest?: number },
  ): Promise<readonly Buffer[]> {
    return await this.#cluster.request({ command: kind, id, group, body, longest }, true);
  }
}

/** The moment, in milliseconds; one that no date can be is the beginning of time. */
export function dateOf({ seconds, nanoseconds }: Moment): Date {
  const date = new Date(seconds * 1_000 + Math.floor(nanoseconds / 1_000_000));
  return Number.isNaN(date.getTime()) ? new Date(0) : date;
}

/** Above 0 where `a` is later. */
function later(a: Moment, b: Moment): number {
  return a.seconds - b.seconds || a.nanoseconds - b.nanoseconds;
}

/** As the original client says it, also where a server would not ask. */
function placeOf(
  step: Step,
  length: number,
): { readonly flags?: number; readonly offset?: number; readonly num?: number } {
  switch (step.kind) {
    case "whole":
      return {};
    case "append":
      return { flags: ioFlag.append };
    case "prepare":
      return { flags: ioFlag.prepare | ioFlag.plain, num: step.total };
    case "plain":
      return { flags: ioFlag.plain, offset: step.offset, num: step.offset + length };
    case "commit":
      return { flags: ioFlag.commit | ioFlag.plain, offset: step.offset, num: step.total };
  }
}
