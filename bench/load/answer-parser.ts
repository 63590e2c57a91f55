/** Takes a part of a body; the bytes are the caller's only until it returns. */
export type Sink = (bytes: Buffer) => void;

/** The head of an answer, and how long its body was. */
export interface Answer {
  readonly status: number;
  readonly head: string;
  readonly length: number;
}

/**
 * Reads one HTTP/1.1 answer at a time from the pieces that a socket yields: bodies with a length, chunked ones, and
 * none. Anything else throws, as a client that measures must not guess.
 */
export class AnswerParser {
  #state: "head" | "body" | "size" | "data" | "data end" | "trailer" | "done" = "done";
  #partial: Buffer | undefined;
  #line = "";
  #remaining = 0;
  #bodyless = false;
  #sink: Sink | undefined;
  #status = 0;
  #head = "";
  #length = 0;

  /** Gets ready for the next answer; one to HEAD has no body, whatever its head says. */
  begin(bodyless: boolean, sink?: Sink): void {
    this.#state = "head";
    this.#partial = undefined;
    this.#line = "";
    this.#bodyless = bodyless;
    this.#sink = sink;
    this.#length = 0;
  }

  /** The answer when `bytes` ended it, else undefined. Throws on bytes that belong to none. */
  feed(bytes: Buffer): Answer | undefined {
    let piece = bytes;
    let offset = 0;
    if (this.#state === "head") {
      if (this.#partial) piece = Buffer.concat([this.#partial, bytes]);
      const end = piece.indexOf("\r\n\r\n");
      if (end < 0) {
        this.#partial = Buffer.from(piece);
        return undefined;
      }
      this.#readHead(piece.toString("latin1", 0, end));
      offset = end + 4;
    }
    while (offset < piece.length && this.#state !== "done") offset = this.#take(piece, offset);
    if (offset < piece.length) throw new Error("The server sent more than its answer");
    if (this.#state !== "done") return undefined;
    return { status: this.#status, head: this.#head, length: this.#length };
  }

  #readHead(head: string): void {
    this.#head = head;
    this.#status = Number(head.slice(9, 12));
    const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
    this.#remaining = Number(length ?? 0);
    const withoutBody = this.#bodyless || this.#status === 204 || this.#status === 304;
    if (withoutBody || length === "0") this.#state = "done";
    else if (length !== undefined) this.#state = "body";
    else if (/\r\ntransfer-encoding: *chunked/i.test(head)) this.#state = "size";
    else throw new Error(`The answer doesn't say how long it is: ${head}`);
  }

  #take(piece: Buffer, offset: number): number {
    if (this.#state !== "body" && this.#state !== "data") return this.#takeLine(piece, offset);
    const end = Math.min(piece.length, offset + this.#remaining);
    this.#sink?.(piece.subarray(offset, end));
    this.#length += end - offset;
    this.#remaining -= end - offset;
    if (this.#remaining === 0) this.#state = this.#state === "body" ? "done" : "data end";
    return end;
  }

  /** The lines of chunked coding: sizes, the empty one after the data, and trailers. */
  #takeLine(piece: Buffer, offset: number): number {
    const newline = piece.indexOf(10, offset);
    const end = newline < 0 ? piece.length : newline + 1;
    this.#line += piece.toString("latin1", offset, end);
    if (newline < 0) return end;
    const line = this.#line.trimEnd();
    this.#line = "";
    if (this.#state === "size") {
      this.#remaining = Number.parseInt(line, 16);
      if (!(this.#remaining >= 0)) throw new Error(`"${line}" is not the size of a chunk`);
      this.#state = this.#remaining === 0 ? "trailer" : "data";
    } else if (this.#state === "data end") {
      this.#state = "size";
    } else if (line === "") {
      this.#state = "done";
    }
    return end;
  }
}

/** The value of a header of an answer, or undefined. */
export function headerOf({ head }: Answer, name: string): string | undefined {
  return new RegExp(`\r\n${name}: *([^\r\n]*)`, "i").exec(head)?.[1];
}
