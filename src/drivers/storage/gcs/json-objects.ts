import type { IncomingMessage } from "node:http";
import { z } from "zod";
import type { ByteRange, Entry, RedirectOptions, Stat } from "../driver.ts";
import { DriverError } from "../errors.ts";
import type { Head, ObjectBucket, PartUpload, Tuning } from "../s3/object-bucket.ts";
import { behind, queryOf, rangeHeader, type Page, type PageRequest } from "../s3/page.ts";
import type { JsonApi, JsonAsk } from "./json-api.ts";
import { checkedName } from "./place.ts";
import { ResumableUpload } from "./resumable.ts";

const size = z.coerce.number().int().min(0);
const resource = z.object({ size, updated: z.coerce.date(), generation: z.string().default("") });
const listing = z.object({
  items: z.array(z.object({ name: z.string(), size, updated: z.coerce.date() })).default([]),
  prefixes: z.array(z.string()).default([]),
  nextPageToken: z.string().optional(),
});
const rewrite = z.object({ done: z.boolean(), rewriteToken: z.string().optional() });

const fields = "size,updated,generation";

/** The objects of a bucket, by Google's JSON API. */
export class JsonObjects implements ObjectBucket {
  readonly tuning: Tuning;
  readonly #api: JsonApi;
  readonly #prefix: string;

  constructor(api: JsonApi) {
    this.tuning = api.tuning;
    this.#api = api;
    this.#prefix = api.place.prefix === "" ? "" : `${api.place.prefix}/`;
  }

  async get(
    key: string,
    range?: ByteRange,
    same = "",
  ): Promise<{ readonly response: IncomingMessage; readonly head: Head }> {
    const query = queryOf([["alt", "media"], ...(same === "" ? [] : [["ifGenerationMatch", same]])]);
    const path = `${this.#pathOf(key)}?${query}`;
    // What was stored with an encoding of its own comes as it was stored.
    const headers = { ...rangeHeader(range), "accept-encoding": "gzip" };
    const response = await this.#api.open({ method: "GET", key, path, headers });
    const {
      "content-length": length,
      "last-modified": modified = 0,
      "x-goog-generation": etag = "",
    } = response.headers;
    return { response, head: { size: Number(length), modified: new Date(modified), etag: String(etag) } };
  }

  async head(key: string): Promise<Head> {
    const { size, updated, generation } = resource.parse(
      await this.#json({ method: "GET", key, path: `${this.#pathOf(key)}?${queryOf([["fields", fields]])}` }),
    );
    return { size, modified: updated, etag: generation };
  }

  async put(key: string, content: Buffer): Promise<Stat> {
    const headers = { "content-type": "application/octet-stream" };
    const path = this.#uploadPath("media", key);
    const answer = await this.#json({ method: "POST", key, path, headers, body: [content], persistent: true });
    const stored = resource.parse(answer);
    return { size: stored.size, modified: stored.updated };
  }

  async begin(key: string): Promise<PartUpload> {
    const headers = { "x-upload-content-type": "application/octet-stream" };
    const path = this.#uploadPath("resumable", key);
    const { response } = await this.#api.ask({ method: "POST", key, path, headers, persistent: true });
    const { location = "" } = response.headers;
    if (!URL.canParse(location)) throw this.fault(new Error("the server begins no upload"), key);
    const { pathname, search } = new URL(location);
    return new ResumableUpload(this.#api, key, pathname + search);
  }

  /** Where a page begins is part of it, so what was seen last is asked for again, and left out. */
  async page({ prefix, after, folded, limit }: PageRequest): Promise<Page> {
    const from = after === "" ? "" : this.#prefix + after;
    const query = [
      ["fields", "items(name,size,updated),prefixes,nextPageToken"],
      ["maxResults", String(Math.min(limit + (from === "" ? 0 : 1), 1000))],
      ["prefix", this.#prefix + prefix],
      ...(folded ? [["delimiter", "/"]] : []),
      ...(from === "" ? [] : [["startOffset", from]]),
    ];
    for (let token: string | undefined; ;) {
      const parameters = [...query, ...(token === undefined ? [] : [["pageToken", token]])];
      const path = `/storage/v1/b/${encodeURIComponent(this.#api.place.bucket)}/o?${queryOf(parameters)}`;
      const found = listing.parse(await this.#json({ method: "GET", path }));
      token = found.nextPageToken;
      const names = [...found.items.map(({ name }) => name), ...found.prefixes].filter((name) => name !== from);
      // A page may be empty and not be the last.
      if (names.length === 0 && token !== undefined) continue;
      const entries = found.items.flatMap(({ name, size, updated }): Entry[] => {
        const key = name.slice(this.#prefix.length);
        // Some programs make objects that stand for folders; those are no keys.
        return name === from || key === "" || key.endsWith("/") ? [] : [{ key, size, modified: updated }];
      });
      const folders = found.prefixes.map((name) => name.slice(this.#prefix.length, -1)).filter((key) => key !== "");
      const last = found.items.at(-1)?.name.slice(this.#prefix.length);
      return { entries, folders, next: token === undefined ? undefined : behind(last, folders.at(-1)) };
    }
  }

  async copy(from: string, to: string): Promise<true> {
    if (from === to) {
      await this.head(from);
      return true;
    }
    const target = `/b/${encodeURIComponent(this.#api.place.bucket)}/o/${this.#encoded(to)}`;
    let token: string | undefined;
    for (let done = false; !done;) {
      const query = queryOf([
        ["fields", "done,rewriteToken"],
        ...(token === undefined ? [] : [["rewriteToken", token]]),
      ]);
      const path = `${this.#pathOf(from)}/rewriteTo${target}?${query}`;
      const answer = rewrite.parse(await this.#json({ method: "POST", key: from, path, persistent: true }));
      ({ done, rewriteToken: token } = answer);
    }
    return true;
  }

  async remove(key: string, persistent: boolean): Promise<void> {
    await this.#api.ask({ method: "DELETE", key, path: this.#pathOf(key), persistent });
  }

  async signedUrl(key: string, options: RedirectOptions): Promise<URL | undefined> {
    return await this.#api.identity.sign(this.#api.place.bucket, this.#nameOf(key), options);
  }

  /** Google itself lets go of uploads that nobody has finished for a week, and charges nothing for them. */
  async removeLeftovers(): Promise<void> {
    await Promise.resolve();
  }

  fault(error: unknown, key: string): DriverError {
    return this.#api.fault(error, key);
  }

  close(): void {
    this.#api.close();
  }

  async #json(ask: JsonAsk): Promise<unknown> {
    const { text } = await this.#api.ask(ask);
    try {
      return JSON.parse(text);
    } catch (error) {
      throw this.#api.fault(error, ask.key);
    }
  }

  #nameOf(key: string): string {
    return checkedName(this.#prefix + key);
  }

  #encoded(key: string): string {
    return encodeURIComponent(this.#nameOf(key));
  }

  #pathOf(key: string): string {
    return `/storage/v1/b/${encodeURIComponent(this.#api.place.bucket)}/o/${this.#encoded(key)}`;
  }

  #uploadPath(kind: "media" | "resumable", key: string): string {
    const query = queryOf([["fields", fields], ["name", this.#nameOf(key)], ["uploadType", kind]]); // prettier-ignore
    return `/upload/storage/v1/b/${encodeURIComponent(this.#api.place.bucket)}/o?${query}`;
  }
}
