import { createHash } from "node:crypto";
import { text } from "node:stream/consumers";
import type { Stat } from "../driver.ts";
import { DriverError, isNotFound } from "../errors.ts";
import type { Bucket } from "./bucket.ts";
import { ServerFailure } from "./failure.ts";
import type { PartUpload } from "./object-bucket.ts";
import { textOf } from "./xml.ts";

interface Part {
  readonly part: number;
  readonly etag: string;
}

/** An upload whose parts can be copies of other objects too. What can't be aborted is found when the store is looked through. */
export class MultipartUpload implements PartUpload {
  readonly #bucket: Bucket;
  readonly #key: string;
  readonly #id: string;
  readonly #parts: Part[] = [];

  private constructor(bucket: Bucket, key: string, id: string) {
    this.#bucket = bucket;
    this.#key = key;
    this.#id = id;
  }

  static async begin(bucket: Bucket, key: string): Promise<MultipartUpload> {
    const ask = { method: "POST", key, query: "uploads", headers: bucket.newObject, persistent: true } as const;
    const id = textOf((await bucket.ask(ask)).text, "UploadId") ?? "";
    if (id === "") throw new DriverError("UNAVAILABLE", `${key}: the server begins no upload`);
    return new MultipartUpload(bucket, key, id);
  }

  async put(part: number, content: Buffer): Promise<void> {
    await this.#add(part, {}, content);
  }

  /** Makes that part of bytes of another object; `end` is the first byte not wanted. */
  async copy(part: number, from: string, start: number, end: number): Promise<void> {
    const range = `bytes=${start}-${end - 1}`;
    await this.#add(part, { ...this.#bucket.sourceOf(from), "x-amz-copy-source-range": range }, Buffer.alloc(0));
  }

  async complete(size: number): Promise<Stat> {
    const parts = this.#parts.toSorted((a, b) => a.part - b.part);
    try {
      await this.#finish(parts);
    } catch (error) {
      // The answer to an earlier try was lost, and the upload is gone because it is complete.
      const isGone = error instanceof DriverError && error.cause instanceof ServerFailure && error.cause.status === 404;
      if (!isGone || !(await this.#isThere(parts, error))) throw error;
    }
    const stat = await this.#bucket.head(this.#key);
    if (stat.size === size) return { size, modified: stat.modified };
    throw new DriverError("UNAVAILABLE", `${this.#key} has ${stat.size} bytes, and ${size} were stored`);
  }

  async abort(): Promise<void> {
    const abort = this.#bucket.with(this.#key, async (client, name) => {
      await client.abortMultipartUpload(this.#bucket.name, name, this.#id);
    });
    await abort.catch(() => undefined);
  }

  async #finish(parts: readonly Part[]): Promise<void> {
    const listed = parts.map(({ part, etag }) => `<Part><PartNumber>${part}</PartNumber><ETag>${etag}</ETag></Part>`);
    const body = `<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${listed.join("")}</CompleteMultipartUpload>`;
    await this.#bucket.with(this.#key, async (client, objectName) => {
      const request = { method: "POST", bucketName: this.#bucket.name, objectName, query: `uploadId=${this.#id}` };
      const answer = await text(await client.makeRequestAsync(request, body));
      // A server may find out that it can't do it when it has begun to say that it does.
      if (answer.includes("CompleteMultipartUploadResult")) return;
      throw new ServerFailure(200, textOf(answer, "Code") ?? "", `the server says ${answer.slice(0, 500)}`);
    });
  }

  async #add(part: number, headers: Readonly<Record<string, string>>, content: Buffer): Promise<void> {
    const { etag } = await this.#bucket.with(
      this.#key,
      async (client, objectName) =>
        await client.uploadPart(
          { bucketName: this.#bucket.name, objectName, uploadID: this.#id, partNumber: part, headers: { ...headers } },
          content,
        ),
    );
    this.#parts.push({ part, etag });
  }

  /** Whether the object is what these parts come to: servers make its tag of theirs. */
  async #isThere(parts: readonly Part[], error: unknown): Promise<boolean> {
    const hash = createHash("md5");
    for (const { etag } of parts) hash.update(Buffer.from(etag.replaceAll('"', ""), "hex"));
    try {
      const { etag } = await this.#bucket.head(this.#key);
      return etag.replaceAll('"', "") === `${hash.digest("hex")}-${parts.length}`;
    } catch (cause) {
      if (isNotFound(cause)) throw error;
      throw cause;
    }
  }
}
