import type Router from "@koa/router";
import type { Context, Middleware } from "koa";
import { RegistryError } from "../errors.ts";
import { bufferedBody } from "../http/body.ts";
import { matchesEtag } from "../http/conditional.ts";
import { ociIndex, type Referrer } from "../registry/manifest.ts";
import {
  parseOciName,
  parseOciTag,
  parseReference,
  type OciName,
  type OciTag,
  type Reference,
} from "../registry/oci-names.ts";
import { parseDigest } from "../registry/digest.ts";
import { page, pageQuery, type PageWeight } from "../http/page.ts";
import { queryOf } from "../http/query.ts";
import { answerJson } from "./answer.ts";
import { forRepository } from "./guards.ts";
import type { V2Parts } from "./parts.ts";

/** The largest manifest that is taken, in bytes; the specification wants at least this. */
const largestManifest = 4 * 1024 * 1024;
const mostTagsAtOnce = 100;
const largestPage = 1000;

/** Manifests and what refers to them (OCI distribution 1.1, end-3, end-7, end-9, end-12). */
export function manifestRoutes(
  router: Router,
  { doorkeeper, manifests, ociTags, referrers, location, idleTimeout, hot }: V2Parts,
): void {
  const path = "/v2/*name/manifests/:reference";

  const read = forRepository(doorkeeper, "pull", async (ctx, name) => {
    await sendManifest(ctx, { manifests, hot }, name, ctx.params["reference"] ?? "");
  });

  const write = forRepository(doorkeeper, "push", async (ctx, name) => {
    const wanted = reference(ctx);
    const tags = wanted.kind === "tag" ? [wanted.tag] : tagsOfQuery(ctx);
    const bytes = await bufferedBody(ctx, { limit: largestManifest, idleTimeout });
    const { digest, subject } = await manifests.put(name, {
      bytes,
      contentType: ctx.get("Content-Type") || undefined,
      digest: wanted.kind === "digest" ? wanted.digest : undefined,
      tags,
    });
    ctx.status = 201;
    ctx.set({ Location: location(ctx, `/v2/${name}/manifests/${digest}`), "Docker-Content-Digest": digest });
    if (subject !== undefined) ctx.set("OCI-Subject", subject);
    if (wanted.kind === "digest" && tags.length > 0) ctx.set("OCI-Tag", [...tags]);
    ctx.body = "";
  });

  const remove = forRepository(doorkeeper, "delete", async (ctx, name) => {
    const wanted = reference(ctx);
    if (wanted.kind === "tag") await ociTags.delete(name, wanted.tag);
    else await manifests.delete(name, wanted.digest);
    ctx.status = 202;
    ctx.body = "";
  });

  const listReferrers = forRepository(doorkeeper, "pull", async (ctx, name) => {
    const subject = parseDigest(ctx.params["digest"] ?? "");
    const artifactType = queryOf(ctx).get("artifactType") ?? undefined;
    const query = pageQuery(ctx, largestPage);
    const after = query.last === undefined ? undefined : parseDigest(query.last);
    const listed = referrers.list(name, subject, { artifactType, after }, (warning) => {
      ctx.set("Warning", warning);
    });
    const next = (last: Referrer) => ({ last: last.digest, ...(artifactType !== undefined && { artifactType }) });
    const found = await page(ctx, listed, query, next, ofReferrers);
    if (artifactType !== undefined) ctx.set("OCI-Filters-Applied", "artifactType");
    answerJson(ctx, indexOf(found), ociIndex);
  });

  router.get(path, read);
  router.put(path, write);
  router.delete(path, remove);
  router.get("/v2/*name/referrers/:digest", listReferrers);
}

function indexOf(manifests: readonly Referrer[]) {
  return { schemaVersion: 2, mediaType: ociIndex, manifests };
}

/** Their annotations may be long: a page is an index, and clients take none that is larger than a manifest may be. */
const ofReferrers: PageWeight<Referrer> = {
  most: largestManifest - JSON.stringify(indexOf([])).length,
  of: (referrer) => Buffer.byteLength(JSON.stringify(referrer)) + ",".length,
};

function reference(ctx: Context & { readonly params: Readonly<Record<string, string>> }): Reference {
  return parseReference(ctx.params["reference"] ?? "");
}

function tagsOfQuery(ctx: Context): readonly OciTag[] {
  const tags = [...new Set(queryOf(ctx).getAll("tag").map(parseOciTag))];
  if (tags.length > mostTagsAtOnce)
    throw new RegistryError("TAG_INVALID", { detail: `at most ${mostTagsAtOnce} tags` });
  return tags;
}

type ManifestParts = Pick<V2Parts, "manifests" | "hot">;

/** A whole URL of a manifest, percent-encoding aside. */
const hotPath = /^\/v2\/([^%]+)\/manifests\/([^/%]+)$/;

/**
 * Reading manifests is most of what a registry does, and going through all routes most of what it costs: this answers such
 * requests before the router.
 */
export function hotManifests(parts: ManifestParts & Pick<V2Parts, "doorkeeper">): Middleware {
  return async (ctx, next) => {
    const [, name, wanted] = (ctx.method === "GET" || ctx.method === "HEAD" ? hotPath.exec(ctx.path) : undefined) ?? [];
    if (name === undefined || wanted === undefined) {
      await next();
      return;
    }
    const repository = parseOciName(name);
    await parts.doorkeeper.admit(ctx, { action: "pull", repository, reference: wanted });
    await sendManifest(ctx, parts, repository, wanted);
  };
}

async function sendManifest(
  ctx: Context,
  { manifests, hot }: ManifestParts,
  name: OciName,
  wanted: string,
): Promise<void> {
  await hot.keep(ctx, name, async (watch) => {
    const { bytes, digest, mediaType } = await manifests.get(name, parseReference(wanted), watch, (warning) => {
      ctx.set("Warning", warning);
    });
    const etag = `"${digest}"`;
    ctx.set({ "Docker-Content-Digest": digest, ETag: etag });
    if (matchesEtag(ctx.get("If-None-Match"), etag)) {
      ctx.status = 304;
    } else {
      ctx.body = bytes;
      ctx.set("Content-Type", mediaType);
    }
    return bytes;
  });
}
