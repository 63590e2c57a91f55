import { randomBytes } from "node:crypto";
import { ApiError } from "./answer.ts";
import type { StoredBucket, StoredObject } from "./buckets.ts";

const grain = 262_144;

interface Session {
  readonly bucket: StoredBucket;
  readonly email: string;
  readonly name: string;
  readonly contentType: string;
  readonly chunks: Buffer[];
  size: number;
  made?: StoredObject;
}

/** What has become of an upload: a size of 0 or more, or the object. */
export type UploadState = { readonly size: number } | { readonly made: StoredObject; readonly bucket: string };

/** Uploads that come in pieces, each known by an address that nobody else knows. */
export class Uploads {
  readonly #sessions = new Map<string, Session>();
  /** A piece is taken only up to here, as Google may do. */
  mostAtOnce = Infinity;

  begin(bucket: StoredBucket, email: string, name: string, contentType: string): string {
    bucket.check(email, "create");
    const id = randomBytes(24).toString("base64url");
    this.#sessions.set(id, { bucket, email, name, contentType, chunks: [], size: 0 });
    return id;
  }

  get count(): number {
    return this.#sessions.size;
  }

  /** Takes a piece, or answers what it has where there is none. */
  add(id: string, range: string | undefined, body: Buffer): UploadState {
    const session = this.#find(id);
    if (session.made) return { made: session.made, bucket: session.bucket.name };
    const asked = /^bytes \*\/(\*|\d+)$/.exec(range ?? "");
    if (asked && asked[1] !== String(session.size)) return { size: session.size };
    const { start, end, total } = /^bytes (?<start>\d+)-(?<end>\d+)\/(?<total>\*|\d+)$/.exec(range ?? "")?.groups ?? {};
    const wrong = (why: string): ApiError => new ApiError(400, "badRequest", `Invalid request. ${why}`);
    if (!asked) {
      if (Number(start) !== session.size) throw wrong(`Expected byte ${session.size}, got ${String(range)}`);
      if (Number(end) - Number(start) + 1 !== body.length) throw wrong("The range is not as long as the content");
      const isLast = total === String(Number(end) + 1);
      if (!isLast && body.length % grain !== 0)
        throw wrong(`Chunks are multiples of ${grain} bytes, got ${body.length}`);
      const taken = body.subarray(0, this.mostAtOnce);
      session.chunks.push(taken);
      session.size += taken.length;
      if (!isLast || taken.length < body.length) return { size: session.size };
    }
    session.made = session.bucket.store(
      session.email,
      session.name,
      Buffer.concat(session.chunks),
      session.contentType,
    );
    session.chunks.length = 0;
    return { made: session.made, bucket: session.bucket.name };
  }

  cancel(id: string): void {
    this.#find(id);
    this.#sessions.delete(id);
  }

  #find(id: string): Session {
    const session = this.#sessions.get(id);
    if (!session) throw new ApiError(404, "notFound", "No such upload");
    return session;
  }
}
