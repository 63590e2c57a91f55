import { pythonJson } from "../python-json.ts";

/** A row of a file list, as text that can be compared and passed on without being read again. */
export interface FileRow {
  /** JSON text in one form, so that equal names are equal texts. */
  readonly name: string;
  readonly isDeleted: boolean;
  /** JSON text of the row without its name. */
  readonly info: string;
}

/** Rows that arrived together; `list` counts the lists from 1. Each list begins with a batch of none. */
export interface RowBatch {
  readonly list: number;
  readonly rows: readonly FileRow[];
}

/** Stands before each list, as RFC 7464 has it: a list that is cut short is not taken for a part of the next one. */
export const listStart = Buffer.from("\x1e");

const largestRow = 8 * 1024 * 1024;

/**
 * Reads file lists that follow one another, each after a `listStart`, a chunk at a time. Takes any JSON text of an array
 * of rows, like those that the Python registry left; no text at all is a list without rows. Fails when it is another one.
 */
export async function* fileRows(source: AsyncIterable<Uint8Array>): AsyncGenerator<RowBatch> {
  const scanner = new RowScanner();
  for await (const chunk of source) yield* scanner.scan(chunk);
  scanner.end();
}

const code = { quote: 0x22, backslash: 0x5c, open: 0x5b, close: 0x5d, comma: 0x2c, listStart: 0x1e } as const;
const blanks: readonly number[] = [0x20, 0x09, 0x0a, 0x0d];

class RowScanner {
  #list = 0;
  #depth = 0;
  #inString = false;
  #escaped = false;
  /** The row that is being read, as far as earlier chunks had it. */
  #begun: Uint8Array[] = [];
  #begunLength = 0;

  *scan(chunk: Uint8Array): Generator<RowBatch> {
    let rows: FileRow[] = [];
    let rowStart = 0;
    for (let i = 0; i < chunk.length; i++) {
      const byte = chunk[i] ?? 0;
      if (this.#inString) this.#withinString(byte);
      else if (byte === code.quote && this.#depth >= 2) this.#inString = true;
      else if (byte === code.open) {
        if (++this.#depth === 2) rowStart = i;
      } else if (byte === code.close) {
        if (--this.#depth === 1) rows.push(this.#row(chunk.subarray(rowStart, i + 1)));
      } else if (byte === code.listStart) {
        this.end();
        if (rows.length > 0) yield { list: this.#list, rows };
        yield { list: ++this.#list, rows: [] };
        rows = [];
      } else if (this.#depth < 2 && !(byte === code.comma && this.#depth === 1) && !blanks.includes(byte)) {
        throw damaged();
      }
      if (this.#depth < 0 || (this.#depth > 0 && this.#list === 0)) throw damaged();
    }
    if (rows.length > 0) yield { list: this.#list, rows };
    if (this.#depth >= 2) this.#keep(chunk.subarray(rowStart));
  }

  end(): void {
    if (this.#depth !== 0) throw damaged();
  }

  #withinString(byte: number): void {
    if (this.#escaped) this.#escaped = false;
    else if (byte === code.backslash) this.#escaped = true;
    else if (byte === code.quote) this.#inString = false;
  }

  #keep(part: Uint8Array): void {
    this.#begunLength += part.length;
    if (this.#begunLength > largestRow) throw damaged();
    this.#begun.push(part);
  }

  #row(last: Uint8Array): FileRow {
    const text = Buffer.concat([...this.#begun, last]).toString("utf8");
    this.#begun = [];
    this.#begunLength = 0;
    return parseRow(text);
  }
}

function parseRow(text: string): FileRow {
  const [name, , isDeleted] = parsedArray(text);
  const afterName = /^\[\s*"(?:[^"\\]|\\.)*"\s*,\s*/.exec(text);
  if (typeof name !== "string" || typeof isDeleted !== "boolean" || !afterName) throw damaged();
  return { name: pythonJson(name), isDeleted, info: `[${text.slice(afterName[0].length)}` };
}

function parsedArray(text: string): readonly unknown[] {
  try {
    return JSON.parse(text) as readonly unknown[];
  } catch {
    throw damaged();
  }
}

function damaged(): Error {
  return new Error("A layer's file list is damaged");
}
