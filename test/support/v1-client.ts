import { createHash } from "node:crypto";
import { once } from "node:events";
import { request as httpRequest, type IncomingHttpHeaders, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";

/** An image to push: `layer` yields the same bytes each time. */
export interface V1Image {
  readonly id: string;
  readonly json: Buffer;
  readonly layer: () => AsyncIterable<Uint8Array>;
}

/** An image as pulled: of the layer its size and sha256 alone, so that it may be large. */
export interface PulledImage {
  readonly id: string;
  readonly json: Buffer;
  readonly checksum: string | undefined;
  readonly layer: { readonly size: number; readonly sha256: string };
}

/** An answer with its body read. */
export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** How a client introduces itself; `basic` is sent with every request, as docker does over TLS to a standalone registry. */
export interface V1ClientOptions {
  readonly userAgent?: string;
  readonly basic?: string;
  /** Sent where no token is, as docker does without TLS. */
  readonly login?: string;
  readonly ca?: Buffer | string;
  /** The certificate that it shows over TLS, and its key, as PEM. */
  readonly identity?: { readonly cert: string; readonly key: string };
}

const docker15 = "docker/1.5.0 go/go1.3.3 git-commit/a8a31ef kernel/3.13.0-24-generic os/linux arch/amd64";

/** Speaks V1 as docker 1.5 does: one connection a request, layers chunked, the same order and the same demands. */
export class V1Client {
  readonly #base: URL;
  readonly #options: V1ClientOptions;

  constructor(base: string, options: V1ClientOptions = {}) {
    this.#base = new URL(base);
    this.#options = options;
  }

  /** Pushes images, base first, and tags the last one. Fails as docker would, naming the request and the answer. */
  async push(repository: string, tag: string, images: readonly V1Image[]): Promise<void> {
    const top = images.at(-1);
    if (!top) throw new Error("nothing to push");
    const list = images.map(({ id }) => (id === top.id ? { id, Tag: tag } : { id }));
    const index = await this.expect([200, 201], "PUT", `/v1/repositories/${repository}/`, {
      headers: { "X-Docker-Token": "true", "Content-Type": "application/json" },
      body: Buffer.from(JSON.stringify(list)),
    });
    const token = index.headers["x-docker-token"];
    if (typeof token !== "string" || index.headers["x-docker-endpoints"] === undefined) {
      throw new Error("the index gave no token or no endpoints");
    }
    const authorization = { Authorization: `Token ${token}` };
    for (const image of images) await this.pushImage(image, authorization);
    await this.expect([200, 201], "PUT", `/v1/repositories/${repository}/tags/${tag}`, {
      headers: { ...authorization, "Content-Type": "application/json" },
      body: Buffer.from(JSON.stringify(top.id)),
    });
    await this.expect([204], "PUT", `/v1/repositories/${repository}/images`, {
      headers: { "X-Docker-Token": "true", "Content-Type": "application/json" },
      body: Buffer.from("[]"),
    });
  }

  /** Pushes one image unless the registry has it. */
  async pushImage({ id, json, layer }: V1Image, headers: Readonly<Record<string, string>> = {}): Promise<void> {
    const path = `/v1/images/${id}`;
    if ((await this.send("GET", `${path}/json`, { headers })).status === 200) return;
    const put = await this.send("PUT", `${path}/json`, {
      headers: { ...headers, "Content-Type": "application/json" },
      body: json,
    });
    if (isAlreadyThere(put)) return;
    if (put.status !== 200) throw failure("PUT", `${path}/json`, put);
    const payload = createHash("sha256").update(json).update("\n");
    await this.expect([200], "PUT", `${path}/layer`, {
      headers: { ...headers, "Content-Type": "application/octet-stream" },
      body: (async function* () {
        for await (const chunk of layer()) {
          payload.update(chunk);
          yield chunk;
        }
      })(),
    });
    const checksum = await this.send("PUT", `${path}/checksum`, {
      headers: { ...headers, "X-Docker-Checksum-Payload": `sha256:${payload.digest("hex")}` },
      body: Buffer.alloc(0),
    });
    if (checksum.status !== 200 && !isAlreadyThere(checksum)) throw failure("PUT", `${path}/checksum`, checksum);
  }

  /** Pulls what a tag names, base first. `sink` gets the layers' bytes, if given. */
  async pull(
    repository: string,
    tag: string,
    sink?: (id: string, layer: AsyncIterable<Uint8Array>) => Promise<void>,
  ): Promise<readonly PulledImage[]> {
    const index = await this.expect([200], "GET", `/v1/repositories/${repository}/images`, {
      headers: { "X-Docker-Token": "true" },
    });
    const headers = { Authorization: `Token ${String(index.headers["x-docker-token"])}` };
    const full = repository.includes("/") ? repository : `library/${repository}`;
    const tags = await this.expect([200], "GET", `/v1/repositories/${full}/tags`, { headers });
    const top = (JSON.parse(tags.body.toString()) as Record<string, string>)[tag];
    if (top === undefined) throw new Error(`no tag ${tag}`);
    const ancestry = await this.expect([200], "GET", `/v1/images/${top}/ancestry`, { headers });
    const images: PulledImage[] = [];
    for (const id of (JSON.parse(ancestry.body.toString()) as string[]).reverse()) {
      images.push(await this.pullImage(id, headers, sink));
    }
    return images;
  }

  async pullImage(
    id: string,
    headers: Readonly<Record<string, string>> = {},
    sink: (id: string, layer: AsyncIterable<Uint8Array>) => Promise<void> = drain,
  ): Promise<PulledImage> {
    const json = await this.expect([200], "GET", `/v1/images/${id}/json`, { headers });
    const response = await this.open("GET", `/v1/images/${id}/layer`, { headers });
    if (response.statusCode !== 200) throw new Error(`GET layer of ${id} answered ${String(response.statusCode)}`);
    const hash = createHash("sha256");
    let size = 0;
    await sink(
      id,
      (async function* () {
        for await (const chunk of response as AsyncIterable<Uint8Array>) {
          size += chunk.length;
          hash.update(chunk);
          yield chunk;
        }
      })(),
    );
    if (!response.complete) throw new Error(`the layer of ${id} was cut after ${size} bytes`);
    const checksum = json.headers["x-docker-checksum-payload"];
    return {
      id,
      json: json.body,
      checksum: typeof checksum === "string" ? checksum : undefined,
      layer: { size, sha256: hash.digest("hex") },
    };
  }

  /** Sends a request and reads the whole answer, whatever its status. */
  async send(method: string, path: string, request: RequestParts = {}): Promise<Answer> {
    const response = await this.open(method, path, request);
    const chunks: Uint8Array[] = [];
    for await (const chunk of response as AsyncIterable<Uint8Array>) chunks.push(chunk);
    return { status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) };
  }

  /** As `send`; another status than one of `statuses` is a failure. */
  async expect(statuses: readonly number[], method: string, path: string, request: RequestParts = {}): Promise<Answer> {
    const answer = await this.send(method, path, request);
    if (!statuses.includes(answer.status)) throw failure(method, path, answer);
    return answer;
  }

  /** Sends a request; the answer's body is still to be read. */
  async open(method: string, path: string, { headers = {}, body }: RequestParts = {}): Promise<IncomingMessage> {
    const secure = this.#base.protocol === "https:";
    const { userAgent = docker15, login, ca, identity } = this.#options;
    const basic = this.#options.basic ?? ("Authorization" in headers ? undefined : login);
    const length = body === undefined || body instanceof Uint8Array ? { "Content-Length": body?.length ?? 0 } : {};
    const request = (secure ? httpsRequest : httpRequest)({
      host: this.#base.hostname,
      port: this.#base.port,
      method,
      path,
      agent: false,
      ...(ca !== undefined && { ca }),
      ...identity,
      headers: {
        "User-Agent": userAgent,
        ...(method === "GET" || method === "HEAD" ? {} : length),
        ...headers,
        ...(basic !== undefined && { Authorization: `Basic ${Buffer.from(basic).toString("base64")}` }),
      },
    });
    const answered = once(request, "response") as Promise<[IncomingMessage]>;
    const sent =
      body === undefined || body instanceof Uint8Array
        ? Promise.resolve(request.end(body))
        : pipeline(Readable.from(body), request);
    const [response] = await Promise.race([answered, sent.then(async () => await answered)]);
    sent.catch(() => undefined);
    return response;
  }
}

/** Headers and body of a request; a body that is iterated is sent chunked. */
export interface RequestParts {
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | AsyncIterable<Uint8Array>;
}

function isAlreadyThere(answer: Answer): boolean {
  return answer.body.toString() === '{"error": "Image already exists"}';
}

function failure(method: string, path: string, answer: Answer): Error {
  return new Error(`${method} ${path} answered ${answer.status} ${answer.body.toString().slice(0, 200)}`);
}

async function drain(_id: string, layer: AsyncIterable<Uint8Array>): Promise<void> {
  const iterator = layer[Symbol.asyncIterator]();
  while (!(await iterator.next()).done);
}
