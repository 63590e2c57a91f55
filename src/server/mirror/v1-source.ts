import { isObject, parseJson } from "../registry/documents.ts";
import { isImageId, type ImageId } from "../registry/names.ts";
import { discard } from "../../drivers/http.ts";
import { headerOf, sentTo, wholeBody, type Answer, type Connection, type Question } from "./connection.ts";
import type { Credentials } from "./credentials.ts";
import { UpstreamFailure } from "./failure.ts";

/** An image's document as a source has it. */
export interface RemoteDocument {
  readonly bytes: Buffer;
  /** What the source says that document and layer are. */
  readonly checksum: string | undefined;
}

type Asking = Partial<Pick<Question, "headers" | "signal">>;

/** A registry that speaks V1, as its client sees it; its index gives tokens, where it has one. What it hasn't is undefined. */
export class V1Source {
  readonly who: string;
  readonly #url: URL;
  readonly #index: URL;
  readonly #connection: Connection;
  readonly #credentials: Credentials;

  constructor(parts: {
    readonly url: URL;
    readonly index: URL | undefined;
    readonly connection: Connection;
    readonly credentials: Credentials;
  }) {
    this.who = parts.url.host;
    this.#url = parts.url;
    this.#index = parts.index ?? parts.url;
    this.#connection = parts.connection;
    this.#credentials = parts.credentials;
  }

  /** The image that a tag names. */
  async image(repository: string, tag: string): Promise<ImageId | undefined> {
    const answer = await this.#ask(repository, `repositories/${repository}/tags/${encodeURIComponent(tag)}`);
    const id = answer && parseJson(await wholeBody(this.who, answer));
    return isImageId(id) ? id : undefined;
  }

  /** All tags of a repository and their images. */
  async tags(repository: string): Promise<ReadonlyMap<string, ImageId> | undefined> {
    const answer = await this.#ask(repository, `repositories/${repository}/tags`);
    if (!answer) return undefined;
    const value = parseJson(await wholeBody(this.who, answer));
    const entries = Object.entries(isObject(value) ? value : {});
    return new Map(entries.flatMap(([tag, id]) => (isImageId(id) ? [[tag, id] as const] : [])));
  }

  /** The image and all that it is built on, itself first. */
  async ancestry(repository: string, id: ImageId): Promise<readonly ImageId[] | undefined> {
    const answer = await this.#ask(repository, `images/${id}/ancestry`);
    const value = answer && parseJson(await wholeBody(this.who, answer));
    return Array.isArray(value) && value[0] === id && value.every(isImageId) ? value : undefined;
  }

  async document(repository: string, id: ImageId, signal: AbortSignal): Promise<RemoteDocument | undefined> {
    const answer = await this.#ask(repository, `images/${id}/json`, { signal });
    if (!answer) return undefined;
    const checksum = headerOf(answer, "x-docker-checksum-payload") ?? headerOf(answer, "x-docker-payload-checksum");
    return { bytes: await wholeBody(this.who, answer), checksum: checksum?.split(",")[0]?.trim() };
  }

  /** What follows the first `start` bytes; a source that doesn't know ranges sends all. */
  async layer(repository: string, id: ImageId, start: number, signal: AbortSignal): Promise<Answer | undefined> {
    const headers = start > 0 ? { range: `bytes=${start}-` } : {};
    return await this.#ask(repository, `images/${id}/layer`, { headers, signal });
  }

  async #ask(repository: string, path: string, asking: Asking = {}): Promise<Answer | undefined> {
    const authorization = await this.#token(repository, asking.signal);
    return await this.#get(new URL(`${base(this.#url)}/v1/${path}`), authorization, asking);
  }

  /** A token, or the account itself where the source gives none. */
  async #token(repository: string, signal: AbortSignal | undefined): Promise<string | undefined> {
    const login = await this.#credentials();
    const basic =
      login && "username" in login
        ? `Basic ${Buffer.from(`${login.username}:${login.password}`).toString("base64")}`
        : undefined;
    if (this.#index === this.#url && basic === undefined) return undefined;
    const answer = await this.#get(new URL(`${base(this.#index)}/v1/repositories/${repository}/images`), basic, {
      signal,
    });
    if (!answer) return basic;
    discard(answer);
    const token = headerOf(answer, "x-docker-token");
    return token === undefined ? basic : `Token ${token}`;
  }

  async #get(url: URL, authorization?: string, { headers: more, signal }: Asking = {}): Promise<Answer | undefined> {
    let to = url;
    for (let redirects = 0; redirects < 4; redirects++) {
      const isTrusted = [this.#url.origin, this.#index.origin].includes(to.origin);
      const said = authorization !== undefined && isTrusted ? { authorization } : {};
      const headers = { "x-docker-token": "true", ...more, ...said };
      const answer = await this.#connection.send({ method: "GET", url: to, headers, signal });
      if (answer.status === 200 || (answer.status === 206 && more?.["range"] !== undefined)) return answer;
      discard(answer);
      if (answer.status === 404) return undefined;
      const next = sentTo(this.who, answer, to);
      if (!next) {
        const isRefusal = answer.status === 401 || answer.status === 403;
        throw new UpstreamFailure(isRefusal ? "refused" : "broken", `${this.who} answers ${answer.status}`);
      }
      to = next;
    }
    throw new UpstreamFailure("broken", `${this.who} redirects for ever`);
  }
}

function base(url: URL): string {
  return url.href.replace(/\/+$/, "");
}
