import { readFileSync } from "node:fs";
import { commands, flag, headerSize } from "./wire.ts";

/** Frames that the C++ client and a real server have sent each other. */
export interface Exchange {
  readonly sent: readonly Buffer[];
  readonly answered: readonly Buffer[];
}

/**
 * Captured traffic by the name of what was done; `connect` comes before each. In the file a line is a frame: `>` to the
 * server, `<` to the client, in hex, with a number in parentheses for so many zeros.
 */
export function capturedExchanges(): Readonly<Record<string, Exchange>> {
  const file = new URL("../../drivers/storage/elliptics/fixtures/exchanges.txt", import.meta.url);
  const blocks = readFileSync(file, "utf8").trim().split("\n\n");
  return Object.fromEntries(
    blocks.map((block) => {
      const [name = "", ...lines] = block.split("\n");
      const frames = (mark: string): Buffer[] =>
        lines.filter((line) => line.startsWith(mark)).map((line) => frameOf(line.slice(2)));
      return [name, { sent: frames(">"), answered: frames("<") }];
    }),
  );
}

function frameOf(text: string): Buffer {
  return Buffer.from(
    text.replace(/\((\d+)\)/g, (_, count: string) => "00".repeat(Number(count))),
    "hex",
  );
}

/**
 * A frame in lines of hex, with dots for what may differ between two that mean the same: the trace and the transaction, when
 * something was written, and in answers where.
 */
export function comparable(frame: Buffer): string {
  const bytes = [...frame].map((byte) => byte.toString(16).padStart(2, "0"));
  for (const [start, end] of [...inHeader, ...inBody(frame)]) {
    for (let at = start; at < Math.min(end, bytes.length); at++) bytes[at] = "..";
  }
  const lines = Array.from({ length: Math.ceil(bytes.length / 16) }, (_, line) =>
    [(line * 16).toString(16).padStart(4, "0"), ...bytes.slice(line * 16, line * 16 + 16)].join(" "),
  );
  return [nameOf(frame), ...lines].join("\n");
}

type Range = readonly [start: number, end: number];

const inHeader: readonly Range[] = [[88, 96], [104, 112]]; // prettier-ignore

function inBody(frame: Buffer): readonly Range[] {
  const at = (start: number, length: number): Range => [headerSize + start, headerSize + start + length];
  const isReply = (frame.readUInt32LE(96) & flag.reply) !== 0;
  switch (nameOf(frame)) {
    case "WRITE":
    case "LOOKUP":
      // The port and the offset in a blob's file; of a request the time.
      return isReply ? [at(2, 2), at(120, 8)] : [at(144, 16)];
    case "REVERSE_LOOKUP":
      return [at(10, 2), at(60, 64)];
    case "ROUTE_LIST":
      return [at(10, 2)];
    default:
      return [];
  }
}

function nameOf(frame: Buffer): string {
  return Object.entries(commands).find(([, number]) => number === frame.readUInt32LE(80))?.[0] ?? "?";
}
