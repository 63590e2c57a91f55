/*
 * A program for tests: speaks Google Cloud Storage's JSON API, signed URLs and token endpoint on the port that is its
 * argument, and keeps everything in memory. What it doesn't know it refuses. Below `/-/` it is told what to be.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { buffer } from "node:stream/consumers";
import { ApiError } from "./answer.ts";
import { resourceOf, StoredBucket, type Permission, type StoredObject } from "./buckets.ts";
import { Accounts, type Account } from "./identity.ts";
import { Uploads, type UploadState } from "./uploads.ts";

const buckets = new Map<string, StoredBucket>();
const accounts = new Accounts();
const uploads = new Uploads();
/** Bytes that are copied by one request. */
const rewritten = 16 * 1_048_576;
const rewrites = new Map<string, number>();

const known =
  /^(alt|fields|prettyPrint|prefix|delimiter|startOffset|endOffset|maxResults|pageToken|uploadType|name|upload_id|ifGenerationMatch|generation|rewriteToken|projection|versions|includeTrailingDelimiter)$/;

type Handler = (
  request: IncomingMessage,
  response: ServerResponse,
  url: URL,
  parts: readonly string[],
) => Promise<void> | void;

const routes: readonly (readonly [string, RegExp, Handler])[] = [
  ["POST", /^\/token$/, token],
  ["POST", /^\/-\/(bucket|account|grant|validity|revoke|most)$/, administer],
  ["GET", /^\/-\/(sessions)$/, (_request, response) => { json(response, 200, { count: uploads.count }); }], // prettier-ignore
  ["GET", /^\/storage\/v1\/b\/([^/]+)$/, showBucket],
  ["GET", /^\/storage\/v1\/b\/([^/]+)\/o$/, list],
  ["GET", /^\/(?:download\/)?storage\/v1\/b\/([^/]+)\/o\/([^/]+)$/, read],
  ["DELETE", /^\/storage\/v1\/b\/([^/]+)\/o\/([^/]+)$/, remove],
  ["POST", /^\/storage\/v1\/b\/([^/]+)\/o\/([^/]+)\/rewriteTo\/b\/([^/]+)\/o\/([^/]+)$/, rewrite],
  ["POST", /^\/upload\/storage\/v1\/b\/([^/]+)\/o$/, upload],
  ["PUT", /^\/upload\/storage\/v1\/b\/([^/]+)\/o$/, proceed],
  ["DELETE", /^\/upload\/storage\/v1\/b\/([^/]+)\/o$/, cancel],
  ["GET", /^\/([^/]+)\/(.+)$/, readSigned],
  ["HEAD", /^\/([^/]+)\/(.+)$/, readSigned],
];

const server = createServer((request, response) => {
  answer(request, response).catch((error: unknown) => {
    if (response.headersSent) response.destroy();
    else if (!(error instanceof ApiError)) json(response, 500, { error: { code: 500, message: String(error) } });
    else if (new URL(request.url ?? "", "http://x").searchParams.get("alt") === "media") plain(response, error);
    else json(response, error.status, error.body);
  });
});
server.listen(Number(process.argv[2]), "127.0.0.1");

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? "", `http://${request.headers.host ?? ""}`);
  for (const [method, path, handle] of routes) {
    const match = method === request.method ? path.exec(url.pathname) : null;
    if (!match) continue;
    if (handle !== readSigned) {
      for (const name of url.searchParams.keys()) {
        if (!known.test(name)) throw new ApiError(400, "invalidParameter", `Unknown name "${name}"`);
      }
    }
    await handle(request, response, url, match.slice(1).map(decodeURIComponent));
    return;
  }
  throw new ApiError(404, "notFound", `Not Found: ${request.method ?? ""} ${url.pathname}`);
}

async function token(request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
  const { status, body } = accounts.grant(new URLSearchParams(String(await buffer(request))), url.href);
  json(response, status, body);
}

async function administer(
  request: IncomingMessage,
  response: ServerResponse,
  _url: URL,
  [what]: readonly string[],
): Promise<void> {
  const said = JSON.parse(String(await buffer(request))) as {
    readonly bucket?: string; readonly account?: Account; readonly email?: string;
    readonly permissions?: readonly Permission[]; readonly number?: number;
  }; // prettier-ignore
  const { bucket = "", account, email = "", permissions = [], number } = said;
  if (what === "bucket") buckets.set(bucket, new StoredBucket(bucket));
  else if (what === "account" && account) accounts.add(account);
  else if (what === "grant") bucketOf(bucket).grant(email, permissions);
  else if (what === "validity") accounts.validity = number ?? 3600;
  else if (what === "most") uploads.mostAtOnce = number ?? Infinity;
  else accounts.revoke();
  json(response, 200, {});
}

function showBucket(
  request: IncomingMessage,
  response: ServerResponse,
  _url: URL,
  [name = ""]: readonly string[],
): void {
  const email = accounts.whose(request.headers.authorization);
  bucketOf(name).check(email, "list");
  json(response, 200, { kind: "storage#bucket", name, location: "EU", storageClass: "STANDARD" });
}

function list(request: IncomingMessage, response: ServerResponse, url: URL, [name = ""]: readonly string[]): void {
  const bucket = bucketFor(request, name, "list");
  const { items, ...rest } = bucket.list(url.searchParams);
  const resources = items.map((object) => resourceOf(name, object));
  // Google leaves out what is empty.
  json(response, 200, {
    kind: "storage#objects",
    ...(resources.length > 0 && { items: resources }),
    ...(rest.prefixes.length > 0 && { prefixes: rest.prefixes }),
    ...(rest.nextPageToken !== undefined && { nextPageToken: rest.nextPageToken }),
  });
}

function read(
  request: IncomingMessage,
  response: ServerResponse,
  url: URL,
  [name = "", key = ""]: readonly string[],
): void {
  const object = bucketFor(request, name, "get").take(key);
  const wanted = url.searchParams.get("ifGenerationMatch") ?? url.searchParams.get("generation");
  if (wanted !== null && wanted !== String(object.generation)) {
    throw new ApiError(412, "conditionNotMet", "At least one of the pre-conditions you specified did not hold.");
  }
  if (url.searchParams.get("alt") === "media") send(request, response, object, object.contentType);
  else json(response, 200, resourceOf(name, object));
}

function remove(
  request: IncomingMessage,
  response: ServerResponse,
  _url: URL,
  [name = "", key = ""]: readonly string[],
): void {
  bucketFor(request, name, "delete").remove(key);
  response.writeHead(204).end();
}

async function rewrite(
  request: IncomingMessage,
  response: ServerResponse,
  url: URL,
  parts: readonly string[],
): Promise<void> {
  const [from = "", source = "", to = "", target = ""] = parts;
  const email = accounts.whose(request.headers.authorization);
  await buffer(request);
  const object = bucketFor(request, from, "get").take(source);
  const token = url.searchParams.get("rewriteToken") ?? `${source}\n${target}\n${object.generation}`;
  if (url.searchParams.has("rewriteToken") && !rewrites.has(token))
    throw new ApiError(410, "expired", "Rewrite expired");
  const done = Math.min((rewrites.get(token) ?? 0) + rewritten, object.content.length);
  const isDone = done === object.content.length;
  rewrites.set(token, done);
  const progress = { totalBytesRewritten: String(done), objectSize: String(object.content.length) };
  if (!isDone) {
    json(response, 200, { kind: "storage#rewriteResponse", done: false, rewriteToken: token, ...progress });
    return;
  }
  rewrites.delete(token);
  const copy = bucketOf(to).store(email, target, object.content, object.contentType);
  json(response, 200, { kind: "storage#rewriteResponse", done: true, resource: resourceOf(to, copy), ...progress });
}

async function upload(
  request: IncomingMessage,
  response: ServerResponse,
  url: URL,
  [name = ""]: readonly string[],
): Promise<void> {
  const bucket = bucketOf(name);
  const email = accounts.whose(request.headers.authorization);
  const type = request.headers["content-type"] ?? "application/octet-stream";
  const body = await buffer(request);
  const key = url.searchParams.get("name") ?? "";
  switch (url.searchParams.get("uploadType")) {
    case "media":
      json(response, 200, resourceOf(name, bucket.store(email, key, body, type)));
      return;
    case "multipart": {
      const [meta, content] = relatedParts(body, /boundary=(.+)$/.exec(type)?.[1] ?? "");
      const said = JSON.parse(String(meta)) as { readonly name?: string; readonly contentType?: string };
      json(response, 200, resourceOf(name, bucket.store(email, said.name ?? key, content, said.contentType ?? "")));
      return;
    }
    case "resumable": {
      const contentType = String(request.headers["x-upload-content-type"] ?? "application/octet-stream");
      const id = uploads.begin(bucket, email, key, contentType);
      const location = `${url.origin}${url.pathname}?uploadType=resumable&upload_id=${id}`;
      response.writeHead(200, { location, "content-length": 0 }).end();
      return;
    }
    case null:
    default:
      throw new ApiError(400, "invalid", "Invalid uploadType");
  }
}

async function proceed(request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
  const id = url.searchParams.get("upload_id") ?? "";
  const state: UploadState = uploads.add(id, request.headers["content-range"], await buffer(request));
  if ("made" in state) {
    json(response, 200, resourceOf(state.bucket, state.made));
    return;
  }
  const range = state.size > 0 ? { range: `bytes=0-${state.size - 1}` } : {};
  response.writeHead(308, { ...range, "content-length": 0 }).end();
}

function cancel(_request: IncomingMessage, response: ServerResponse, url: URL): void {
  uploads.cancel(url.searchParams.get("upload_id") ?? "");
  response.writeHead(499, { "content-length": 0 }).end();
}

function readSigned(
  request: IncomingMessage,
  response: ServerResponse,
  url: URL,
  [name = "", key = ""]: readonly string[],
): void {
  const bucket = bucketOf(name);
  bucket.check(accounts.signer(request.method ?? "", url, request.headers), "get");
  const object = bucket.take(key);
  send(request, response, object, url.searchParams.get("response-content-type") ?? object.contentType);
}

function send(request: IncomingMessage, response: ServerResponse, object: StoredObject, type: string): void {
  const size = object.content.length;
  const headers = {
    "content-type": type,
    "last-modified": object.updated.toUTCString(),
    "x-goog-generation": String(object.generation),
    "x-goog-stored-content-encoding": "identity",
    "accept-ranges": "bytes",
  };
  const { first, last } = /^bytes=(?<first>\d+)-(?<last>\d*)$/.exec(request.headers.range ?? "")?.groups ?? {};
  if (first === undefined) {
    response.writeHead(200, { ...headers, "content-length": size }).end(object.content);
    return;
  }
  const start = Number(first);
  const end = last === undefined || last === "" ? size : Math.min(Number(last) + 1, size);
  if (start >= size) throw new ApiError(416, "requestedRangeNotSatisfiable", "Request range not satisfiable");
  const range = `bytes ${start}-${end - 1}/${size}`;
  response.writeHead(206, { ...headers, "content-range": range, "content-length": end - start });
  response.end(object.content.subarray(start, end));
}

/** The two parts of a body of the type multipart/related. */
function relatedParts(body: Buffer, boundary: string): readonly [Buffer, Buffer] {
  const mark = Buffer.from(`--${boundary}`);
  const second = body.indexOf(mark, mark.length);
  const last = body.lastIndexOf(`--${boundary}--`);
  const contentOf = (part: Buffer): Buffer => part.subarray(part.indexOf("\r\n\r\n") + 4, part.length - 2);
  return [contentOf(body.subarray(0, second)), contentOf(body.subarray(second, last))];
}

function bucketOf(name: string): StoredBucket {
  const bucket = buckets.get(name);
  if (!bucket) throw new ApiError(404, "notFound", "The specified bucket does not exist.");
  return bucket;
}

function bucketFor(request: IncomingMessage, name: string, permission: Permission): StoredBucket {
  const email = accounts.whose(request.headers.authorization);
  const bucket = bucketOf(name);
  bucket.check(email, permission);
  return bucket;
}

function plain(response: ServerResponse, { status, message }: ApiError): void {
  response.writeHead(status, { "content-type": "text/html; charset=UTF-8" }).end(message);
}

function json(response: ServerResponse, status: number, body: object): void {
  const text = JSON.stringify(body);
  const length = Buffer.byteLength(text);
  response.writeHead(status, { "content-type": "application/json; charset=UTF-8", "content-length": length }).end(text);
}
