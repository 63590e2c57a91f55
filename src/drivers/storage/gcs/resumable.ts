import type { IncomingMessage } from "node:http";
import { z } from "zod";
import type { Stat } from "../driver.ts";
import { DriverError, isNotFound } from "../errors.ts";
import type { PartUpload } from "../s3/object-bucket.ts";
import type { JsonApi } from "./json-api.ts";

/** Google takes no other lengths, but for the last bytes of an object. */
const grain = 262_144;

const resource = z.object({ size: z.coerce.number(), updated: z.coerce.date() });

/** The server's answer to bytes: how many it has of all, or the object that it has made of them. */
type Progress = { readonly has: number } | { readonly made: Stat };

/**
 * An object that Google gathers behind an address of its own. Parts come in their order, one after the other; the last
 * bytes are held back for `complete`, since only the last request may say that it is the last.
 */
export class ResumableUpload implements PartUpload {
  readonly #api: JsonApi;
  readonly #key: string;
  readonly #path: string;
  /** What the server has. */
  #sent = 0;
  #held: Uint8Array = new Uint8Array();

  constructor(api: JsonApi, key: string, path: string) {
    this.#api = api;
    this.#key = key;
    this.#path = path;
  }

  async put(_part: number, content: Buffer): Promise<void> {
    const ready = Math.floor((this.#held.length + content.length - 1) / grain) * grain;
    const [first, rest] = split([this.#held, content], ready);
    if (ready > 0) await this.#send(first, undefined);
    // The buffer is somebody else's from now on.
    this.#held = Buffer.concat(rest);
  }

  async complete(size: number): Promise<Stat> {
    const made = await this.#send([this.#held], size);
    if (made?.size === size) return made;
    throw new DriverError("UNAVAILABLE", `${this.#key} has ${made?.size ?? 0} bytes, and ${size} were stored`);
  }

  async abort(): Promise<void> {
    // It is answered with 499; whatever is answered, nobody will ask for it any more.
    await this.#request([], { "content-length": "0" }, "DELETE").catch(() => undefined);
  }

  /** Sends bytes that come behind those that the server has; `total` with the last ones. */
  async #send(blocks: readonly Uint8Array[], total: number | undefined): Promise<Stat | undefined> {
    const start = this.#sent;
    const end = start + blocks.reduce((sum, { length }) => sum + length, 0);
    let isUncertain = false;
    for (;;) {
      const progress = await this.#api.persistently(this.#key, async () => {
        const known = isUncertain ? await this.#progress() : { has: this.#sent };
        isUncertain = true;
        if ("made" in known || (known.has === end && total === undefined)) return known;
        this.#expect(known.has >= start && known.has <= end);
        const [, rest] = split(blocks, known.has - start);
        const range = `bytes ${known.has}-${end - 1}/${total ?? "*"}`;
        return progressOf(await this.#request(rest, { "content-range": range }));
      });
      if ("made" in progress) return progress.made;
      this.#expect(progress.has > this.#sent && progress.has <= end);
      this.#sent = progress.has;
      if (progress.has === end && total === undefined) return undefined;
    }
  }

  async #progress(): Promise<Progress> {
    return progressOf(await this.#request([], { "content-range": "bytes */*" }));
  }

  #expect(isSo: boolean): void {
    if (!isSo) throw new DriverError("UNAVAILABLE", `${this.#key}: the server has lost count of its upload`);
  }

  async #request(
    body: readonly Uint8Array[],
    headers: Readonly<Record<string, string>>,
    method: "PUT" | "DELETE" = "PUT",
  ): Promise<{ readonly response: IncomingMessage; readonly text: string }> {
    try {
      return await this.#api.ask({ method, key: this.#key, path: this.#path, headers, body, isOpen: true });
    } catch (error) {
      if (!isNotFound(error)) throw error;
      throw new DriverError("UNAVAILABLE", `${this.#key}: the server has lost its upload`, { cause: error });
    }
  }
}

function progressOf(answer: { readonly response: IncomingMessage; readonly text: string }): Progress {
  if (answer.response.statusCode === 308) {
    const last = /^bytes=0-(?<last>\d+)$/.exec(answer.response.headers.range ?? "")?.groups?.["last"];
    return { has: last === undefined ? 0 : Number(last) + 1 };
  }
  const { size, updated } = resource.parse(JSON.parse(answer.text));
  return { made: { size, modified: updated } };
}

/** The first `length` bytes of all, and those behind them. */
function split(blocks: readonly Uint8Array[], length: number): readonly [Uint8Array[], Uint8Array[]] {
  const [first, rest]: [Uint8Array[], Uint8Array[]] = [[], []];
  let left = length;
  for (const block of blocks) {
    const taken = Math.min(left, block.length);
    left -= taken;
    if (taken > 0) first.push(block.subarray(0, taken));
    if (taken < block.length) rest.push(block.subarray(taken));
  }
  return [first, rest];
}
