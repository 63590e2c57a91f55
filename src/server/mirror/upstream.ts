import type { Log } from "../log.ts";
import { isDigest, parseDigest, type Digest } from "../registry/digest.ts";
import { isObject, parseJson } from "../registry/documents.ts";
import { ociIndex, type Referrer } from "../registry/manifest.ts";
import { Authorization } from "./authorization.ts";
import { discard } from "../../drivers/http.ts";
import { headerOf, sentTo, wholeBody, type Answer, type Connection, type Question } from "./connection.ts";
import type { Credentials } from "./credentials.ts";
import { UpstreamFailure } from "./failure.ts";
import type { MirrorMeter } from "./meter.ts";
import { Pace } from "./pace.ts";

/** A manifest as an upstream gave it; nothing is verified yet. */
export interface FoundManifest {
  readonly bytes: Buffer;
  readonly mediaType: string | undefined;
  /** What it says that the digest is. */
  readonly digest: Digest | undefined;
}

/** A question to an upstream: what it is about, and how long one is ready to wait. */
export interface Asking {
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds until the answer has to begin. */
  readonly patience?: number | undefined;
}

const manifestTypes = [
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
  "application/vnd.docker.distribution.manifest.v2+json",
  "*/*;q=0.1",
].join(", ");

const mostRedirects = 5;
/** Lists longer than this are cut, in items. */
const mostItems = 100_000;

/** A registry that speaks V2, as its client sees it. What it hasn't is undefined; all else that goes wrong is a failure. */
export class Upstream {
  readonly who: string;
  readonly pace: Pace;
  readonly #url: URL;
  readonly #connection: Connection;
  readonly #authorization: Authorization;

  constructor(parts: {
    readonly url: URL;
    readonly connection: Connection;
    readonly credentials: Credentials;
    readonly log: Log;
    readonly meter: MirrorMeter;
  }) {
    const { url, connection, credentials } = parts;
    this.who = url.host;
    this.pace = new Pace(url.host, parts);
    this.#url = url;
    this.#connection = connection;
    this.#authorization = new Authorization({ who: url.host, origin: url, connection, credentials });
  }

  /** The manifest, whole. */
  async manifest(name: string, reference: string, asking: Asking = {}): Promise<FoundManifest | undefined> {
    const answer = await this.#ask("GET", name, `manifests/${reference}`, { accept: manifestTypes }, asking);
    if (!answer) return undefined;
    const digest = digestSaid(answer);
    return { bytes: await wholeBody(this.who, answer), mediaType: headerOf(answer, "content-type"), digest };
  }

  /** The digest of what a tag names: `known` when it is still that; `unsaid` when the upstream tells none. */
  async digest(
    name: string,
    tag: string,
    known: Digest | undefined,
    asking: Asking = {},
  ): Promise<Digest | "unsaid" | undefined> {
    const condition = known === undefined ? {} : { "if-none-match": `"${known}"` };
    const answer = await this.#ask("HEAD", name, `manifests/${tag}`, { accept: manifestTypes, ...condition }, asking);
    if (!answer) return undefined;
    discard(answer);
    return answer.status === 304 && known !== undefined ? known : (digestSaid(answer) ?? "unsaid");
  }

  /** How large a blob is; 0 where that is not told. */
  async blobSize(name: string, digest: Digest, asking: Asking = {}): Promise<number | undefined> {
    const answer = await this.#ask("HEAD", name, `blobs/${digest}`, {}, asking);
    if (!answer) return undefined;
    discard(answer);
    return Number(/^\d{1,15}$/.exec(headerOf(answer, "content-length") ?? "")?.[0] ?? 0);
  }

  /** A blob, or what follows its first `start` bytes: then the status says whether that was understood. */
  async blob(name: string, digest: Digest, start = 0, asking: Asking = {}): Promise<Answer | undefined> {
    return await this.#ask("GET", name, `blobs/${digest}`, start > 0 ? { range: `bytes=${start}-` } : {}, asking);
  }

  /** The tags of a repository in byte order. */
  async tags(name: string, asking: Asking = {}): Promise<readonly string[] | undefined> {
    const tags = await this.#pages(name, "tags/list?n=1000", { accept: "application/json", ...asking }, (body) =>
      tagsIn(body).map((tag) => [tag, tag] as const),
    );
    return tags && [...tags.keys()].sort();
  }

  /** What refers to a manifest; undefined also where the upstream does not know of such things. */
  async referrers(name: string, subject: Digest, asking: Asking = {}): Promise<readonly Referrer[] | undefined> {
    const referrers = await this.#pages(name, `referrers/${subject}`, { accept: ociIndex, ...asking }, (body) =>
      referrersIn(body).map((referrer) => [referrer.digest, referrer] as const),
    );
    return referrers && [...referrers.values()];
  }

  /** All pages of a list, whose items have keys. */
  async #pages<T>(
    name: string,
    first: string,
    { accept, ...asking }: Asking & { readonly accept: string },
    itemsIn: (body: Buffer) => readonly (readonly [string, T])[],
  ): Promise<ReadonlyMap<string, T> | undefined> {
    const items = new Map<string, T>();
    for (let next: string | undefined = first; next !== undefined && items.size < mostItems;) {
      const answer = await this.#ask("GET", name, next, { accept }, asking);
      if (!answer) return undefined;
      const body = await wholeBody(this.who, answer);
      const before = items.size;
      for (const [key, item] of itemsIn(body)) items.set(key, item);
      // A page that has nothing new would be followed by itself, again and again.
      next = items.size > before ? nextPage(answer, `/v2/${name}/`) : undefined;
    }
    return items;
  }

  /** Asks about a repository, saying who we are when that is wanted, and goes where it is sent to. */
  async #ask(
    method: "GET" | "HEAD",
    name: string,
    path: string,
    headers: Readonly<Record<string, string>>,
    asking: Asking,
  ): Promise<Answer | undefined> {
    this.pace.requireTurn();
    const url = new URL(`${this.#url.href.replace(/\/+$/, "")}/v2/${name}/${path}`);
    try {
      const authorization = await this.#authorization.header(name);
      let answer = await this.#follow({ method, url, headers, ...asking }, authorization);
      const challenge = answer.status === 401 ? headerOf(answer, "www-authenticate") : undefined;
      const other = challenge === undefined ? undefined : await this.#authorization.challenged(challenge, name, authorization); // prettier-ignore
      if (other !== undefined) {
        discard(answer);
        answer = await this.#follow({ method, url, headers, ...asking }, other);
      }
      return this.#understood(answer);
    } catch (error) {
      if (error instanceof UpstreamFailure && (error.kind === "unreachable" || error.kind === "timeout"))
        this.pace.failed();
      throw error;
    }
  }

  /** Redirects lead to stores of blobs, which know nothing of our credentials and must not. */
  async #follow(question: Question, authorization: string | undefined): Promise<Answer> {
    let { url } = question;
    for (let count = 0; ; count++) {
      const isOurs = url.origin === this.#url.origin;
      const said = isOurs && authorization !== undefined ? { authorization } : {};
      const answer = await this.#connection.send({ ...question, url, headers: { ...question.headers, ...said } });
      if (isOurs) {
        const busy = this.pace.note(answer.status, answer.headers);
        if (busy) {
          discard(answer);
          throw busy;
        }
      }
      const next = sentTo(this.who, answer, url);
      if (!next) return answer;
      discard(answer);
      if (count === mostRedirects) throw this.#broken("redirects for ever");
      url = next;
    }
  }

  #understood(answer: Answer): Answer | undefined {
    const { status } = answer;
    if (status === 200 || status === 206 || status === 304) return answer;
    discard(answer);
    if (status === 404) return undefined;
    if (status === 401 || status === 403)
      throw new UpstreamFailure("refused", `${this.who} does not let us in (${status})`);
    throw this.#broken(`answers ${status}`);
  }

  #broken(problem: string): UpstreamFailure {
    return new UpstreamFailure("broken", `${this.who} ${problem}`);
  }
}

function digestSaid(answer: Answer): Digest | undefined {
  const text = headerOf(answer, "docker-content-digest");
  try {
    return text === undefined ? undefined : parseDigest(text);
  } catch {
    return undefined;
  }
}

function tagsIn(body: Buffer): readonly string[] {
  const value = parseJson(body);
  const tags = isObject(value) ? value["tags"] : undefined;
  return Array.isArray(tags) ? tags.filter((tag) => typeof tag === "string") : [];
}

/** The manifests that an index lists; those that are described as none can be are left out. */
export function referrersIn(body: Buffer): readonly Referrer[] {
  const value = parseJson(body);
  const listed: unknown = isObject(value) ? value["manifests"] : undefined;
  return (Array.isArray(listed) ? listed : []).flatMap((each: unknown) => {
    if (!isObject(each)) return [];
    const { mediaType, digest, size, artifactType, annotations } = each;
    if (typeof mediaType !== "string" || typeof digest !== "string" || !isDigest(digest) || typeof size !== "number") {
      return [];
    }
    const type = typeof artifactType === "string" ? { artifactType } : {};
    return [{ mediaType, digest, size, ...type, ...(isObject(annotations) && { annotations }) }];
  });
}

/** What follows `base` in the link to the next page; undefined when there is none, or it leads elsewhere. */
function nextPage(answer: Answer, base: string): string | undefined {
  const [, target = ""] = /<([^>]+)>\s*;\s*rel="?next"?/.exec(headerOf(answer, "link") ?? "") ?? [];
  const at = target.indexOf(base);
  return at === -1 ? undefined : target.slice(at + base.length);
}
