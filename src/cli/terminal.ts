import { once } from "node:events";
import type { Readable, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { styleText } from "node:util";

/** A stream to write to, which may be a terminal. */
export type Output = Writable & { readonly isTTY?: boolean; readonly columns?: number };

/** All that a command has of the world; tests give their own. */
export interface Io {
  readonly stdin: Readable & { readonly isTTY?: boolean };
  readonly stdout: Output;
  readonly stderr: Output;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** Aborted when the user interrupts or the system asks to stop. */
  readonly signal: AbortSignal;
  /** Aborted when they do so again: whatever still runs is to be dropped. */
  readonly force: AbortSignal;
  /** The words that start this program again: interpreter and script. */
  readonly self: readonly string[];
  readonly nodeVersion: string;
}

type Format = "bold" | "dim" | "red" | "green" | "yellow" | "cyan";

/** Data goes to stdout, everything else to stderr; colours only where a terminal shows them. */
export class Terminal {
  readonly io: Io;

  constructor(io: Io) {
    this.io = io;
  }

  /** Whether somebody can be asked. */
  get interactive(): boolean {
    return this.io.stdin.isTTY === true && this.io.stderr.isTTY === true;
  }

  async print(text: string): Promise<void> {
    await write(this.io.stdout, text.endsWith("\n") ? text : `${text}\n`);
  }

  async json(value: unknown): Promise<void> {
    await this.print(JSON.stringify(value, undefined, 2));
  }

  /** Copies bytes as they are, as fast as the reader takes them. */
  async copy(source: Readable): Promise<void> {
    await pipeline(source, this.io.stdout, { end: false });
  }

  async note(text: string): Promise<void> {
    await write(this.io.stderr, `${text}\n`);
  }

  async warn(text: string): Promise<void> {
    await this.note(`${this.styled(this.io.stderr, "yellow", "warning:")} ${text}`);
  }

  async error(text: string): Promise<void> {
    await this.note(`${this.styled(this.io.stderr, "red", "error:")} ${text}`);
  }

  /** Prints rows below a heading, columns aligned; `colour` may style a cell once its width is known. */
  async table(
    heading: readonly string[],
    rows: readonly (readonly string[])[],
    colour: (cell: string, column: number) => Format | undefined = () => undefined,
  ): Promise<void> {
    const widths = heading.map((title, column) =>
      Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
    );
    const line = (row: readonly string[], format: (cell: string, column: number) => Format | undefined): string =>
      row
        .map((cell, column) => {
          const style = format(cell, column);
          const padding = column === row.length - 1 ? "" : " ".repeat((widths[column] ?? 0) - cell.length + 2);
          return (style ? this.styled(this.io.stdout, style, cell) : cell) + padding;
        })
        .join("")
        .trimEnd();
    await this.print([line(heading, () => "bold"), ...rows.map((row) => line(row, colour))].join("\n"));
  }

  styled(output: Output, format: Format, text: string): string {
    return this.colours(output) ? styleText(format, text, { validateStream: false }) : text;
  }

  /** `NO_COLOR` wins over `FORCE_COLOR`, which wins over what the stream is. */
  colours(output: Output): boolean {
    const { NO_COLOR, FORCE_COLOR, TERM } = this.io.env;
    if (NO_COLOR) return false;
    if (FORCE_COLOR) return FORCE_COLOR !== "0";
    return output.isTTY === true && TERM !== "dumb";
  }

  /** Counts bytes as they pass and draws a bar on stderr, when that is a terminal; without a `total`, the count alone. */
  async *progress(label: string, source: AsyncIterable<Uint8Array>, total?: number): AsyncGenerator<Uint8Array> {
    const { stderr } = this.io;
    if (stderr.isTTY !== true) {
      yield* source;
      return;
    }
    let done = 0;
    let drawn = 0;
    try {
      for await (const chunk of source) {
        done += chunk.length;
        yield chunk;
        if (Date.now() - drawn < 100) continue;
        drawn = Date.now();
        stderr.write(`\r${bar(label, done, total, stderr.columns ?? 80)}`);
      }
    } finally {
      if (drawn > 0) stderr.write(`\r${bar(label, done, total, stderr.columns ?? 80)}\n`);
    }
  }
}

function bar(label: string, done: number, total: number | undefined, columns: number): string {
  const count = total === undefined ? megabytes(done) : `${megabytes(done)} of ${megabytes(total)}`;
  const width = Math.min(30, columns - label.length - count.length - 6);
  if (!total || width < 5) return `${label} ${count}`;
  const filled = Math.round((Math.min(done, total) / total) * width);
  return `${label} [${"#".repeat(filled)}${" ".repeat(width - filled)}] ${count}`;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

/** Waits for a reader that falls behind; one that has gone away ends the program elsewhere. */
async function write(output: Output, text: string): Promise<void> {
  if (output.destroyed || output.write(text)) return;
  await Promise.race([once(output, "drain"), once(output, "close")]);
}
