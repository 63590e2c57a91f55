import { headerOf, type Answer } from "./answer-parser.ts";
import { BlobSeries, type Blob } from "./blob-series.ts";
import { requestHead, withConnections, type Connection } from "./connection.ts";
import type { Moved } from "./downloads.ts";

/** How a blob is pushed: PUT with all of it, one PATCH of unknown length as docker sends it, or several PATCHes. */
export type UploadForm = "monolithic" | "streamed" | "chunked";

/** One new blob to push. */
export interface UploadJob {
  readonly url: string;
  readonly repository: string;
  readonly size: number;
  readonly form: UploadForm;
}

/** How many parts a chunked push has. */
const parts = 16;

/** Pushes a new blob, from POST to 201; its content is made before. */
export async function upload(job: UploadJob): Promise<Moved & { readonly digest: string }> {
  const url = new URL(job.url);
  const blob = new BlobSeries(job.size).next();
  const [seconds = 0] = await withConnections(url, { count: 1 }, async (connection) => {
    const start = performance.now();
    await push(connection, url, { ...job, blob });
    return (performance.now() - start) / 1000;
  });
  return { bytes: job.size, seconds, digest: blob.digest };
}

/** Pushes one blob over a connection; `sent` hears of every piece that the system took. */
export async function push(
  connection: Connection,
  url: URL,
  {
    repository,
    form,
    blob,
    sent,
  }: {
    readonly repository: string;
    readonly form: UploadForm;
    readonly blob: Blob;
    readonly sent?: (bytes: number) => void;
  },
): Promise<void> {
  const begin = requestHead(url, "POST", `/v2/${repository}/blobs/uploads/`, { "Content-Length": 0 });
  let location = nextLocation(url, expectStatus(await connection.exchange(begin), 202, "POST"));
  const type = { "Content-Type": "application/octet-stream" };
  if (form === "monolithic") {
    const head = requestHead(url, "PUT", withDigest(location, blob.digest), { ...type, "Content-Length": blob.size });
    expectStatus(await withBody(connection, head, blob.chunks(), sent), 201, "PUT");
    return;
  }
  if (form === "streamed") {
    const head = requestHead(url, "PATCH", location, { ...type, "Transfer-Encoding": "chunked" });
    location = nextLocation(
      url,
      expectStatus(await withBody(connection, head, chunkedCoding(blob.chunks()), sent), 202, "PATCH"),
    );
  } else {
    let start = 0;
    for (const part of inParts(blob)) {
      const length = part.reduce((sum, chunk) => sum + chunk.length, 0);
      const range = { "Content-Range": `${start}-${start + length - 1}`, "Content-Length": length };
      const head = requestHead(url, "PATCH", location, { ...type, ...range });
      location = nextLocation(url, expectStatus(await withBody(connection, head, part, sent), 202, "PATCH"));
      start += length;
    }
  }
  const end = requestHead(url, "PUT", withDigest(location, blob.digest), { "Content-Length": 0 });
  expectStatus(await connection.exchange(end), 201, "PUT");
}

/** Rejects a request whose answer has another status. */
export function expectStatus(answer: Answer, status: number, request: string): Answer {
  if (answer.status !== status) throw new Error(`${request} was answered ${answer.status}:\n${answer.head}`);
  return answer;
}

/** Sends a request whose body follows its head, two pieces ahead of the server. An early answer ends it. */
export async function withBody(
  connection: Connection,
  head: string,
  body: Iterable<Uint8Array>,
  sent?: (bytes: number) => void,
): Promise<Answer> {
  const state = { isAnswered: false };
  const answer = connection.exchange(head).finally(() => {
    state.isAnswered = true;
  });
  const written = (async () => {
    let before: Promise<void> | undefined;
    for (const chunk of body) {
      const taken = connection.send(chunk);
      taken.catch(() => undefined);
      await before;
      if (state.isAnswered) return;
      before = taken;
      sent?.(chunk.length);
    }
    await before;
  })();
  written.catch(() => undefined);
  return await answer;
}

function* chunkedCoding(chunks: Iterable<Uint8Array>): Iterable<Uint8Array> {
  for (const chunk of chunks) {
    yield Buffer.from(`${chunk.length.toString(16)}\r\n`);
    yield chunk;
    yield Buffer.from("\r\n");
  }
  yield Buffer.from("0\r\n\r\n");
}

function inParts(blob: Blob): readonly (readonly Uint8Array[])[] {
  const chunks = [...blob.chunks()];
  const each = Math.ceil(chunks.length / parts);
  return Array.from({ length: Math.ceil(chunks.length / each) }, (_, index) =>
    chunks.slice(index * each, (index + 1) * each),
  );
}

function nextLocation(url: URL, answer: Answer): string {
  const location = headerOf(answer, "Location");
  if (location === undefined) throw new Error(`An upload has no Location:\n${answer.head}`);
  const { pathname, search } = new URL(location, url);
  return `${pathname}${search}`;
}

function withDigest(location: string, digest: string): string {
  return `${location}${location.includes("?") ? "&" : "?"}digest=${encodeURIComponent(digest)}`;
}
