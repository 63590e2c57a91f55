import { Buffer } from "node:buffer";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Context } from "koa";
import { LRUCache } from "lru-cache";
import { invalidWatch, type Watch } from "../../drivers/storage/watches.ts";
import type { Access } from "../access/access.ts";
import type { RequestNotes } from "../http/request-log.ts";
import type { OciName } from "../registry/oci-names.ts";

declare module "node:http" {
  interface OutgoingMessage {
    /** Node has it for every message, its types for requests of clients alone. */
    getRawHeaderNames(): string[];
  }
}

/** What hot answers are given with. */
export interface HotParts {
  /** Begins a watch; one that is never valid where others may change the store. */
  readonly watch: () => Watch;
  readonly access: Pick<Access, "known">;
  readonly note: RequestNotes;
  readonly v1UserAgents: RegExp;
}

/** A 200 as it was once given, without what is each request's own. */
interface HotAnswer {
  /** Names and values in turn, in the order and spelling in which they were sent. */
  readonly headers: readonly string[];
  /** What GET is answered with; undefined where HEAD alone is answered. */
  readonly body: Buffer | undefined;
  readonly watch: Watch;
  /** What one must be allowed to read for it. */
  readonly about: About;
}

/** The repository that an answer is about; a list may be about everything. */
type About = OciName | "everything";

/** So much memory, in bytes; the manifests themselves are kept once and shared with `Manifests`. */
const mostBytes = 32 * 1024 * 1024;
const mostAnswers = 20_000;
/** What an answer takes beside its body: headers, keys that are watched. */
const overhead = 2048;

/** Larger pages of lists are made anew, so that a few of them leave room for manifests. */
const largestPage = 65_536;

const path = /^\/v2\/[^%?#]+\/(?:manifests|blobs)\/[^/%?#]+$/;
const listPath = /^\/v2\/(?:_catalog|[^%?#]+\/tags\/list)(?:\?[^#]{0,512})?$/;
/** Requests with these are answered in other ways, or leave the connection in another state. */
const special = ["range", "if-range", "if-none-match", "expect", "content-length", "transfer-encoding", "upgrade"];
const ownHeader = "x-request-id";

/**
 * Reading manifests is most of what a registry does, and going through all of the application most of what it costs. So
 * plain answers, pages of lists too, are kept as they were given, for as long as nothing that they were made from changes,
 * and given again without the application. Whatever is not quite plain goes through it, and its answer is the definition
 * of ours.
 */
export class HotAnswers {
  readonly #parts: HotParts;
  readonly #answers = new LRUCache<string, HotAnswer>({
    max: mostAnswers,
    maxSize: mostBytes,
    sizeCalculation: ({ body }) => overhead + (body?.length ?? 0),
    dispose: ({ watch }) => {
      watch.close();
    },
  });

  constructor(parts: HotParts) {
    this.#parts = parts;
  }

  /** Answers the request if an answer is at hand; else does nothing and tells so. */
  answer(request: IncomingMessage, response: ServerResponse): boolean {
    const { url = "", method = "" } = request;
    const found = this.#answers.get(url);
    if (found === undefined) return false;
    if (!found.watch.isValid) {
      this.#answers.delete(url);
      return false;
    }
    const isHead = method === "HEAD";
    if (!isHead && found.body === undefined) return false;
    if (!this.#isPlain(request) || !this.#mayRead(request, found.about)) return false;
    response.writeHead(200, ["X-Request-Id", this.#parts.note(request, response), ...found.headers]);
    response.end(isHead ? undefined : found.body);
    return true;
  }

  /**
   * Lets `give` answer with what it adds to the watch, and keeps a plain answer. `give` resolves with the body, or undefined
   * when the answer is one to HEAD alone. Whoever may read what it is about is given the answer again; nobody, where that is
   * undefined.
   */
  async keep(
    ctx: Context,
    about: About | undefined,
    give: (watch: Watch) => Promise<Buffer | undefined>,
  ): Promise<void> {
    const watch = about === undefined ? invalidWatch : this.#parts.watch();
    let isKept = false;
    try {
      const body = await give(watch);
      isKept =
        watch.isValid && (body !== undefined || ctx.method === "HEAD") && this.#keepAnswer(ctx, { body, watch, about });
    } finally {
      if (!isKept) watch.close();
    }
  }

  #keepAnswer(
    { req, res, url }: Context,
    { body, watch, about }: Pick<HotAnswer, "body" | "watch"> & { readonly about: About | undefined },
  ): boolean {
    if (about === undefined) return false;
    if (res.statusCode !== 200 || res.hasHeader("Connection") || !this.#isPlain(req)) return false;
    if (!path.test(url) && !(listPath.test(url) && body !== undefined && body.length <= largestPage)) return false;
    const names = res.getRawHeaderNames().filter((name) => name.toLowerCase() !== ownHeader);
    const headers = names.flatMap((name) => [res.getHeader(name) ?? ""].flat().flatMap((v) => [name, String(v)]));
    const answer = { headers, body, watch, about };
    return this.#answers.set(url, answer).peek(url) === answer;
  }

  /** Who that can't be told at once is not asked for here. */
  #mayRead({ method = "", url = "", headers, socket }: IncomingMessage, about: About): boolean {
    const [path = ""] = url.split("?", 1);
    const caller = this.#parts.access.known({ method, path, headers, socket });
    if (!caller) return false;
    return about === "everything" ? caller.mayList && caller.seesAll : caller.may("pull", about);
  }

  #isPlain({ method, headers }: IncomingMessage): boolean {
    if (method !== "GET" && method !== "HEAD") return false;
    for (const name of special) if (headers[name] !== undefined) return false;
    return !this.#parts.v1UserAgents.test(headers["user-agent"] ?? "");
  }
}
