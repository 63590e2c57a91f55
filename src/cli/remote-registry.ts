import type { KeyObject } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { isOciName, isOciTag, sign, type FoundManifest, type RegistryPort, type V1ImageView } from "../server/index.ts";
import { CommandError } from "./exit.ts";
import { send } from "./http.ts";

/** How requests say who asks. */
export interface Credentials {
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  /** Signs each request, as the holder of the registry's privileged key. */
  readonly key?: KeyObject | undefined;
}

/** A registry that runs, and how it is reached. */
export interface RemoteOptions extends Credentials {
  readonly url: URL;
  readonly signal: AbortSignal;
  readonly ca?: string | undefined;
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly body: Buffer;
}

/** Images of all kinds; clients that do not say so are sent what old clients can read. */
const manifestTypes = [
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
  "application/vnd.docker.distribution.manifest.v2+json",
].join(", ");

/** The largest answer that is taken: a list of 100,000 tags stays far below. */
const largestAnswer = 64 * 1024 * 1024;

const redirects: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
const mostHops = 5;

/** Asks a running registry, by what it offers to every client. */
export class RemoteRegistry implements RegistryPort {
  readonly name: string;
  readonly #options: RemoteOptions;

  constructor(options: RemoteOptions) {
    this.name = options.url.href.replace(/\/$/, "");
    this.#options = options;
  }

  async *repositories(): AsyncGenerator<string> {
    for await (const page of this.#pages("/v2/_catalog?n=1000")) yield* texts(page["repositories"]);
    yield* await this.#oddNames();
  }

  async *tags(repository: string): AsyncGenerator<string> {
    const names = new Set<string>();
    const inV1 = await this.#ask("GET", `${v1Path(repository)}/tags`);
    if (inV1.status === 200) for (const tag of Object.keys(object(inV1))) names.add(tag);
    let isThere = inV1.status === 200;
    if (isOciName(repository)) {
      for await (const page of this.#pages(`/v2/${path(repository)}/tags/list?n=1000`, 404)) {
        isThere = true;
        for (const tag of texts(page["tags"])) names.add(tag);
      }
    }
    if (!isThere) throw new CommandError("failed", `${this.name} has no repository ${repository}`);
    yield* [...names].sort();
  }

  async manifest(repository: string, reference: string): Promise<FoundManifest> {
    if (!isOciName(repository) || !(isOciTag(reference) || reference.includes(":")))
      return { reason: "V2 can't spell its name" };
    const headers = { Accept: manifestTypes };
    const answer = await this.#ask("GET", `/v2/${path(repository)}/manifests/${reference}`, headers);
    if (answer.status === 404) return { reason: told(answer) };
    const { headers: said, body } = this.#fine(answer, `${repository}:${reference}`);
    const digest = said["docker-content-digest"];
    return { digest: typeof digest === "string" ? digest : "", mediaType: said["content-type"] ?? "", bytes: body };
  }

  async config(repository: string, digest: string): Promise<Buffer | undefined> {
    const answer = await this.#ask("GET", `/v2/${path(repository)}/blobs/${digest}`);
    return answer.status === 404 ? undefined : this.#fine(answer, digest).body;
  }

  async chain(repository: string, tag: string): Promise<readonly V1ImageView[] | { readonly reason: string }> {
    const named = await this.#ask("GET", `${v1Path(repository)}/tags/${encodeURIComponent(tag)}`);
    if (named.status !== 200) return { reason: told(named) };
    const ancestry = await this.#ask("GET", `/v1/images/${String(parsed(named))}/ancestry`);
    if (ancestry.status !== 200) return { reason: told(ancestry) };
    const chain: V1ImageView[] = [];
    for (const id of texts(parsed(ancestry))) {
      const json = await this.#ask("GET", `/v1/images/${id}/json`);
      if (json.status !== 200) return { reason: told(json) };
      const size = json.headers["x-docker-size"];
      chain.push({ id, size: typeof size === "string" ? Number(size) : undefined, document: object(json) });
    }
    return chain;
  }

  async removeTag(repository: string, tag: string): Promise<boolean> {
    const inV2 = isOciName(repository) && isOciTag(tag);
    const answer = await this.#ask(
      "DELETE",
      inV2 ? `/v2/${path(repository)}/manifests/${tag}` : `${v1Path(repository)}/tags/${encodeURIComponent(tag)}`,
    );
    if (answer.status === 404) return false;
    this.#fine(answer, `${repository}:${tag}`);
    return true;
  }

  async close(): Promise<void> {
    await Promise.resolve();
  }

  /** What V2 can't spell is known to the search alone, and only where there is one. */
  async #oddNames(): Promise<readonly string[]> {
    const names = new Set<string>();
    for (let [number, pages] = [1, 1]; number <= pages; number++) {
      const answer = await this.#ask("GET", `/v1/search?q=&n=100&page=${number}`);
      if (answer.status !== 200) return [...names];
      const { results, num_pages: all } = object(answer);
      pages = typeof all === "number" ? all : 0;
      for (const result of Array.isArray(results) ? (results as readonly unknown[]) : []) {
        const name = isObject(result) ? result["name"] : undefined;
        if (typeof name === "string" && !isOciName(name)) names.add(unquoted(name));
      }
    }
    return [...names].sort();
  }

  /** The pages of a list, as `Link` leads from each to the next; none when the first has the status `unless`. */
  async *#pages(first: string, unless?: number): AsyncGenerator<Readonly<Record<string, unknown>>> {
    for (let next: string | undefined = first; next !== undefined;) {
      const answer = await this.#ask("GET", next);
      if (answer.status === unless) return;
      yield object(this.#fine(answer, next));
      const link = answer.headers["link"];
      const [, target] = /<([^>]+)>\s*;\s*rel="?next"?/.exec(Array.isArray(link) ? link.join() : (link ?? "")) ?? [];
      next = target === undefined ? undefined : relative(new URL(target, this.#options.url));
    }
  }

  #fine(answer: Answer, subject: string): Answer {
    if (answer.status < 300) return answer;
    const remedy = answer.status === 401 ? "; --username and --password-stdin, or --key, say who asks" : "";
    throw new CommandError("failed", `${this.name} refuses ${subject}: ${answer.status} ${told(answer)}${remedy}`);
  }

  async #ask(method: string, target: string, headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
    let url = new URL(this.#options.url.href.replace(/\/+$/, "") + target);
    let response = await this.#send(method, url, headers);
    for (let hops = 0; hops < mostHops; hops++) {
      const next = method === "GET" && redirects.has(response.statusCode ?? 0) ? response.headers.location : undefined;
      if (next === undefined) break;
      response.destroy();
      url = new URL(next, url);
      response = await this.#send(method, url, headers);
    }
    const chunks: Uint8Array[] = [];
    let length = 0;
    for await (const chunk of response as AsyncIterable<Uint8Array>) {
      length += chunk.length;
      if (length > largestAnswer) throw new CommandError("failed", `${this.name} answers ${target} with too much`);
      chunks.push(chunk);
    }
    return { status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) };
  }

  /** Who asks, and whom to trust, is the registry's business alone: blobs may be given by its storage. */
  async #send(method: string, url: URL, headers: Readonly<Record<string, string>>): Promise<IncomingMessage> {
    const { url: own, username, password, key, signal, ca } = this.#options;
    if (url.origin !== own.origin) return await send({ method, url, headers, signal });
    const basic = username === undefined ? undefined : Buffer.from(`${username}:${password ?? ""}`).toString("base64");
    return await send({
      method,
      url,
      headers: {
        ...headers,
        ...(basic !== undefined && { Authorization: `Basic ${basic}` }),
        ...(key && { "X-Signature": sign({ method, path: url.pathname, headers }, key, "sha1") }),
      },
      signal,
      ...(ca !== undefined && { ca }),
    });
  }
}

function path(repository: string): string {
  return repository.split("/").map(encodeURIComponent).join("/");
}

function v1Path(repository: string): string {
  return `/v1/repositories/${path(repository)}`;
}

function relative({ pathname, search }: URL): string {
  return pathname + search;
}

/** Search shows names as V1 keeps them. */
function unquoted(name: string): string {
  try {
    return decodeURIComponent(name.replaceAll("+", " "));
  } catch {
    return name;
  }
}

/** What an error says, in the form of either protocol. */
function told(answer: Answer): string {
  const value = object(answer);
  const [first] = Array.isArray(value["errors"]) ? (value["errors"] as readonly unknown[]) : [];
  const { message, detail } = isObject(first) ? first : { message: value["error"], detail: undefined };
  if (typeof message !== "string" || message === "") return `it answers ${answer.status}`;
  return typeof detail !== "string" || message.includes(detail) ? message : `${message}: ${detail}`;
}

function parsed({ body }: Answer): unknown {
  try {
    return JSON.parse(body.toString()) as unknown;
  } catch {
    return undefined;
  }
}

function object(answer: Answer): Readonly<Record<string, unknown>> {
  const value = parsed(answer);
  return isObject(value) ? value : {};
}

function texts(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === "string") : [];
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
