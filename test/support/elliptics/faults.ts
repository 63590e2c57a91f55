import { randomFrom, type Random } from "../random.ts";
import { commands, headerSize, type CommandName, type Header } from "./wire.ts";

/** Which requests a fault meets; what isn't given may be anything. The first `skip` of them pass, then `times` are met. */
export interface Met {
  readonly command?: CommandName;
  readonly group?: number;
  /** The port of the node that was asked. */
  readonly port?: number;
  readonly skip?: number;
  readonly times?: number;
}

/** What becomes of a request: it is done and answered, unless one of these is here. */
export interface Mischief {
  /** It isn't done, and this is the answer. */
  readonly status?: number;
  /** It isn't done, and not answered. */
  readonly silent?: boolean;
  /** It is done, and the connection ends behind so many bytes of the answer. */
  readonly cutAfter?: number;
  /** It is done, and answered when this resolves. */
  readonly held?: Promise<void>;
  /** It is done, and this is made of the answer. */
  readonly fuzz?: (frame: Buffer) => readonly Buffer[];
}

interface Rule extends Met {
  seen: number;
  readonly mischief: () => Mischief;
}

/** What a test makes a cluster do to those who ask it. */
export class Faults {
  /** Where frames are cut into packets: nowhere, behind every byte, or at random places. */
  split: "nowhere" | "everywhere" | "randomly" = "nowhere";
  /** How long each request waits before it is done. */
  milliseconds = 0;
  /** How many requests a fault has met since it was calm. */
  met = 0;
  readonly random: Random;
  #rules: Rule[] = [];

  constructor(seed: number) {
    this.random = randomFrom(seed);
  }

  /** Everything is done and answered again. What is held stays held. */
  calm(): void {
    this.split = "nowhere";
    this.milliseconds = 0;
    this.met = 0;
    this.#rules = [];
  }

  /** Answers with an error. */
  fail(status: number, met: Met = {}): void {
    this.#add(met, () => ({ status }));
  }

  /** Doesn't answer. */
  silence(met: Met = {}): void {
    this.#add(met, () => ({ silent: true }));
  }

  /** Cuts connections behind so many bytes of an answer: all of them, where it has less. */
  cut(bytes: number, met: Met = {}): void {
    this.#add(met, () => ({ cutAfter: bytes }));
  }

  /** As `cut`, anywhere in the first `below` bytes. */
  cutAnywhere(below: number, met: Met = {}): void {
    this.#add(met, () => ({ cutAfter: this.random(below) }));
  }

  /** Holds answers back until the function that this returns is called. */
  hold(met: Met = {}): () => void {
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    this.#add(met, () => ({ held }));
    return () => {
      release();
    };
  }

  /** Makes answers wrong; the seed decides how. */
  fuzz(seed: number, met: Met = {}): void {
    const random = randomFrom(seed);
    this.#add(met, () => ({ fuzz: (frame) => fuzzed(frame, random) }));
  }

  /** What becomes of a request; each call counts one. */
  for(header: Header, port: number): Mischief {
    for (const rule of this.#rules) {
      if (rule.command !== undefined && commands[rule.command] !== header.command) continue;
      if (rule.group !== undefined && rule.group !== header.group) continue;
      if (rule.port !== undefined && rule.port !== port) continue;
      const position = rule.seen++;
      const first = rule.skip ?? 0;
      if (position < first || position >= first + (rule.times ?? Infinity)) continue;
      this.met += 1;
      return rule.mischief();
    }
    return {};
  }

  /** The packets that so many bytes are sent in. */
  *packets(bytes: Buffer): Generator<Buffer> {
    if (this.split === "nowhere") {
      yield bytes;
      return;
    }
    for (let at = 0; at < bytes.length;) {
      const most = this.split === "everywhere" ? 1 : 1 + this.random(bytes.length);
      yield bytes.subarray(at, at + most);
      at += most;
    }
  }

  #add(met: Met, mischief: () => Mischief): void {
    this.#rules.push({ ...met, seen: 0, mischief });
  }
}

const oddNumbers = [0n, 1n, 0x7fn, 0xffn, 0xffffn, 0x7fff_ffffn, 0xffff_ffffn, 1n << 53n, (1n << 63n) - 1n, (1n << 64n) - 1n]; // prettier-ignore

/** A frame that isn't what it should be any more. */
export function fuzzed(frame: Buffer, random: Random): readonly Buffer[] {
  const bytes = Buffer.from(frame);
  const odd = (): bigint => oddNumbers[random(oddNumbers.length)] ?? 0n;
  const within = (start: number): number => start + random(Math.max(1, bytes.length - start));
  switch (random(9)) {
    case 0: // some bytes anywhere
      for (let count = 1 + random(4); count > 0; count--) bytes[within(0)] = random(256);
      return [bytes];
    case 1: // some bits of the body
      if (bytes.length > headerSize) for (let count = 1 + random(8); count > 0; count--) flip(bytes, within(headerSize), 1 << random(8)); // prettier-ignore
      return [bytes];
    case 2: // a number of the header
      bytes.writeBigUInt64LE(odd(), [68, 76, 80, 88, 96, 104, 112][random(7)]);
      return [bytes];
    case 3: // a number of the body
      if (bytes.length >= headerSize + 8) bytes.writeBigUInt64LE(odd(), Math.min(within(headerSize), bytes.length - 8));
      return [bytes];
    case 4: { // less of a body, and a header that says so
      const size = random(bytes.length - headerSize + 1);
      bytes.writeBigUInt64LE(BigInt(size), 112);
      return [bytes.subarray(0, headerSize + size)];
    } // prettier-ignore
    case 5: // less of a body than the header says: the next frame becomes a part of it
      return [bytes.subarray(0, within(1))];
    case 6: // twice
      return [bytes, bytes];
    case 7: { // something between frames
      const noise = Buffer.from(Array.from({ length: random(300) }, () => random(256)));
      return random(2) === 0 ? [noise, bytes] : [bytes, noise];
    } // prettier-ignore
    default: // a last frame that isn't the last
      bytes.writeUInt8(bytes.readUInt8(96) | 2, 96);
      return [bytes];
  }
}

function flip(bytes: Buffer, at: number, bits: number): void {
  bytes.writeUInt8(bytes.readUInt8(at) ^ bits, at);
}
