import { randomBytes } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { pipeline } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";
import type { Layer } from "../registry/images.ts";
import { listen, type RunningServer } from "../server.ts";
import type { Digest } from "../registry/digest.ts";
import type { ImageId } from "../registry/names.ts";
import type { OciName } from "../registry/oci-names.ts";
import type { BlobFetch } from "./blob-fetch.ts";
import { discard } from "../../drivers/http.ts";
import { Connection, headerOf, type Answer } from "./connection.ts";
import { UpstreamFailure } from "./failure.ts";

/** The other processes of this server, which mirror the same. */
export interface Peers {
  /** Where another one that fetches what has this key gives it away; undefined when none does. */
  find(key: string): Promise<string | undefined>;
  /** The same; when none does, we do from now on, and give it away at `address`, until `ended`. */
  claim(key: string, address: string): Promise<string | undefined>;
  ended(key: string): void;
}

/** How often another process is asked that fetches the blob and then doesn't, and how long it is waited between, in milliseconds. */
const mostTurns = 20;
const shortWait = 50;

/** How large the blob is. The length of the answer is not told: it ends when the blob is kept, or is cut. */
export const sizeHeader = "x-blob-size";

/**
 * Gives blobs that are on their way to the other processes of this server, and takes them from there. They lie at an
 * address that nobody else can guess.
 */
export class PeerDesk {
  readonly #peers: Peers;
  readonly #server: RunningServer;
  readonly #secret: string;
  readonly #connection = new Connection({ who: "127.0.0.1" });

  private constructor(peers: Peers, server: RunningServer, secret: string) {
    this.#peers = peers;
    this.#server = server;
    this.#secret = secret;
  }

  /** `running` is asked for what is on its way here, a digest or the id of an image. */
  static async open(peers: Peers, running: (what: string) => BlobFetch | undefined): Promise<PeerDesk> {
    const secret = randomBytes(32).toString("hex");
    const handler = (request: IncomingMessage, response: ServerResponse): void => {
      const [, shown, what = ""] = (request.url ?? "").split("/");
      const fetch = shown === secret ? running(what) : undefined;
      if (!fetch) response.writeHead(404, { "Content-Length": 0 }).end();
      else give(fetch, request, response).catch(() => response.destroy());
    };
    return new PeerDesk(peers, await listen(handler, { host: "127.0.0.1", port: 0, exclusive: true }), secret);
  }

  /** Where another process fetches the blob for that repository, if one does. */
  async find(name: OciName, what: Digest | ImageId): Promise<string | undefined> {
    return await this.#peers.find(`${name}@${what}`);
  }

  /** The same; if none does, this one begins to, until `ended`. */
  async #claim(name: OciName, what: Digest | ImageId): Promise<string | undefined> {
    return await this.#peers.claim(`${name}@${what}`, `${this.#server.url}/${this.#secret}/${what}`);
  }

  /**
   * What follows the first `start` bytes, from another process that fetches it, or as `kept` has it; undefined when this one
   * is to fetch it.
   */
  async ask(
    name: OciName,
    what: Digest | ImageId,
    { start, signal, kept }: { readonly start: number; readonly signal: AbortSignal; readonly kept: () => Promise<Answer | undefined> }, // prettier-ignore
  ): Promise<Answer | undefined> {
    for (let time = 0; time < mostTurns; time++) {
      const address = await this.#claim(name, what);
      const answer = (await kept()) ?? (address === undefined ? undefined : await this.#read(address, start, signal));
      if (answer || address === undefined) return answer;
      // It has ended, or will be told to have.
      await sleep(shortWait, undefined, { signal });
    }
    return undefined;
  }

  ended(name: OciName, what: Digest | ImageId): void {
    this.#peers.ended(`${name}@${what}`);
  }

  /** What follows the first `start` bytes; undefined when the other one does not fetch it any more. */
  async #read(address: string, start: number, signal: AbortSignal): Promise<Answer | undefined> {
    const headers = { range: `bytes=${start}-` };
    const question = { method: "GET", url: new URL(address), headers, signal } as const;
    const answer = await this.#connection.send(question).catch(unlessFailed);
    if (!answer || answer.status === 206) return answer;
    discard(answer);
    return undefined;
  }

  async close(): Promise<void> {
    await this.#connection.close();
    await this.#server.close(0);
  }
}

/** It is cut where the blob fails, so that whoever reads it sees that it is not whole. */
async function give(fetch: BlobFetch, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const size = await fetch.size;
  if (size === undefined) {
    response.writeHead(404, { "Content-Length": 0 }).end();
    return;
  }
  const start = Number(/^bytes=(\d{1,15})-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
  response.writeHead(206, { [sizeHeader]: size, "Content-Range": `bytes ${start}-/${size}` });
  response.flushHeaders();
  await pipeline(fetch.open({ start }), response, { end: false });
  await fetch.ended;
  response.end();
}

function unlessFailed(error: unknown): undefined {
  if (!(error instanceof UpstreamFailure)) throw error;
}

/** What is in store, as another process would send it. */
export async function keptAnswer({ size, open }: Pick<Layer, "size" | "open">, start: number): Promise<Answer> {
  const headers = { "content-length": String(size), "content-range": `bytes ${start}-/${size}` };
  return { status: 206, headers, body: await open({ start }) };
}

/** How large the blob is that another process sends. */
export function sizeSaid(answer: Answer): string | undefined {
  return headerOf(answer, sizeHeader);
}
