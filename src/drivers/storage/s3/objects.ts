import type { IncomingMessage } from "node:http";
import type { ByteRange, RedirectOptions, Stat } from "../driver.ts";
import { DriverError } from "../errors.ts";
import { headOf, type Bucket } from "./bucket.ts";
import { copyObject } from "./copy.ts";
import { driverError, ServerFailure } from "./failure.ts";
import { removeLeftovers } from "./leftovers.ts";
import { MultipartUpload } from "./multipart.ts";
import type { Head, ObjectBucket, PartUpload, Tuning } from "./object-bucket.ts";
import { rangeHeader, readPage, type Page, type PageRequest } from "./page.ts";
import type { Transport } from "./transport.ts";

/** The objects of a bucket, by Amazon's protocol. */
export class S3Objects implements ObjectBucket {
  readonly tuning: Tuning;
  readonly #bucket: Bucket;
  readonly #transport: Transport;

  constructor(bucket: Bucket, transport: Transport) {
    this.tuning = bucket.tuning;
    this.#bucket = bucket;
    this.#transport = transport;
  }

  async get(
    key: string,
    range?: ByteRange,
    same = "",
  ): Promise<{ readonly response: IncomingMessage; readonly head: Head }> {
    const headers = { ...rangeHeader(range), ...(same !== "" && { "if-match": same }) };
    const response = await this.#bucket.open({ method: "GET", key, headers });
    return { response, head: headOf(response.headers) };
  }

  async head(key: string): Promise<Head> {
    return await this.#bucket.head(key);
  }

  async put(key: string, content: Buffer): Promise<Stat> {
    return await this.#bucket.put(key, content);
  }

  async begin(key: string): Promise<PartUpload> {
    return await MultipartUpload.begin(this.#bucket, key);
  }

  async page(request: PageRequest): Promise<Page> {
    return await readPage(this.#bucket, request);
  }

  async copy(from: string, to: string): Promise<boolean> {
    try {
      await copyObject(this.#bucket, from, to);
      return true;
    } catch (error) {
      const { cause } = error instanceof DriverError ? error : {};
      if (cause instanceof ServerFailure && cause.isTooLarge) return false;
      throw error;
    }
  }

  async remove(key: string, persistent: boolean): Promise<void> {
    await this.#bucket.ask({ method: "DELETE", key, persistent });
  }

  async signedUrl(key: string, options: RedirectOptions): Promise<URL> {
    return await this.#bucket.signedUrl(key, options);
  }

  async removeLeftovers(): Promise<number> {
    return await removeLeftovers(this.#bucket);
  }

  fault(error: unknown, key: string): DriverError {
    return driverError(error, { bucket: this.#bucket.name, key, options: this.#bucket.options });
  }

  close(): void {
    this.#transport.close();
  }
}
