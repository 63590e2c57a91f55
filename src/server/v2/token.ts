import type Router from "@koa/router";
import type { Context } from "koa";
import { credentialsOf } from "../access/credentials.ts";
import { parseScopes, scopeText } from "../access/scopes.ts";
import type { Caller } from "../access/caller.ts";
import type { Doorkeeper } from "../access/doorkeeper.ts";
import type { TokenService } from "../access/token-service.ts";
import { RegistryError } from "../errors.ts";
import { bufferedBody } from "../http/body.ts";
import { queryOf } from "../http/query.ts";
import { answerJson } from "./answer.ts";

/** What tokens are given with. */
export interface TokenParts {
  readonly service: TokenService;
  readonly doorkeeper: Doorkeeper;
  /** What this registry is called in tokens. */
  readonly name: string;
  /** Who asks, as the defence against guessing knows them. */
  readonly addressOf: (ctx: Context) => string;
  readonly idleTimeout: number;
}

/** A form is a name, a password and some scopes. */
const largestForm = 64 * 1024;

/**
 * The token service (distribution, token authentication): GET with Basic or without anything, and the form of OAuth 2 with
 * a password or a refresh token. Other tokens are not taken for new ones.
 */
export function tokenRoutes(router: Router, parts: TokenParts): void {
  const { service, doorkeeper, name } = parts;

  router.get("/v2/token", async (ctx) => {
    const query = queryOf(ctx);
    requireService(query, name);
    const login = { action: "login" } as const;
    const caller = await doorkeeper.identify(ctx, login);
    const { kind } = credentialsOf(ctx);
    // Else a token would be good for others, of a longer life and a larger scope.
    if (kind !== "basic" && kind !== "none") throw doorkeeper.refused(ctx, login, caller);
    const issued = await service.issue(caller, parseScopes(query.getAll("scope")));
    const isForLong = kind === "basic" && isTrue(query.get("offline_token"));
    const refreshToken = isForLong ? await service.refreshToken(caller) : undefined;
    answerToken(ctx, {
      token: issued.token,
      access_token: issued.token,
      ...lifeOf(issued.seconds),
      ...(refreshToken !== undefined && { refresh_token: refreshToken }),
    });
  });

  router.post("/v2/token", async (ctx) => {
    const form = new URLSearchParams(
      (await bufferedBody(ctx, { limit: largestForm, idleTimeout: parts.idleTimeout })).toString(),
    );
    requireService(form, name);
    const caller = await callerOfForm(ctx, form, parts);
    const issued = await service.issue(caller, parseScopes(form.getAll("scope")));
    const given = form.get("refresh_token");
    const refreshToken = form.get("access_type") === "offline" ? await service.refreshToken(caller) : given;
    answerToken(ctx, {
      access_token: issued.token,
      scope: issued.scopes.map(scopeText).join(" "),
      ...lifeOf(issued.seconds),
      ...(refreshToken !== null && refreshToken !== undefined && { refresh_token: refreshToken }),
    });
  });
}

/** Rejects with UNAUTHORIZED, BAD_REQUEST or TOOMANYREQUESTS. */
async function callerOfForm(ctx: Context, form: URLSearchParams, parts: TokenParts): Promise<Caller> {
  const { service, addressOf, doorkeeper } = parts;
  const kind = form.get("grant_type");
  if (kind !== "password" && kind !== "refresh_token") {
    throw new RegistryError("BAD_REQUEST", { detail: "grant_type is password or refresh_token" });
  }
  doorkeeper.note(ctx, form.get("username") ?? kind, { action: "login" });
  const caller =
    kind === "password"
      ? await service.withPassword(form.get("username") ?? "", form.get("password") ?? "", addressOf(ctx))
      : await service.refreshing(form.get("refresh_token") ?? "");
  if (!caller) throw new RegistryError("UNAUTHORIZED");
  return caller;
}

/** A token is for this registry alone; who wants one for another has come to the wrong place. */
function requireService(parameters: URLSearchParams, name: string): void {
  const service = parameters.get("service");
  if (service !== null && service !== name) {
    throw new RegistryError("BAD_REQUEST", {
      detail: "tokens are given for this registry alone, not for that service",
    });
  }
}

function answerToken(ctx: Context, content: Readonly<Record<string, unknown>>): void {
  ctx.set({ "Cache-Control": "no-store", Pragma: "no-cache" });
  answerJson(ctx, content);
}

function lifeOf(seconds: number): Readonly<Record<string, unknown>> {
  return { expires_in: seconds, issued_at: new Date().toISOString() };
}

function isTrue(text: string | null): boolean {
  return text === "true" || text === "1";
}
