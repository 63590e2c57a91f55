import type { Context, Middleware } from "koa";

/** What scripts of other sites may do (the options `cors.*` of the configuration, which see). */
export interface CorsRule {
  readonly origins: readonly string[];
  readonly methods: readonly string[];
  readonly headers: readonly string[];
  readonly expose_headers: readonly string[];
  readonly supports_credentials: boolean;
  readonly max_age?: number | undefined;
  readonly send_wildcard: boolean;
  readonly always_send: boolean;
  readonly automatic_options: boolean;
  readonly vary_header: boolean;
}

type Partially<T> = { readonly [K in keyof T]?: T[K] | undefined };

/** A rule and the paths it is about: all, those of a list of patterns, or a map of patterns to rules of their own. */
export interface CorsOptions extends CorsRule {
  readonly resources?: readonly string[] | Readonly<Record<string, Partially<CorsRule>>> | undefined;
}

interface Resource {
  readonly covers: (path: string) => boolean;
  readonly rule: CorsRule;
  readonly allows: (origin: string) => boolean;
}

/**
 * Adds the CORS headers that the original server sent, to errors too when it stands outside `errorHandling`, and
 * answers preflights. Origins are compared whole: literally, as a pattern with `*`, or as a regular expression.
 * Throws when one is malformed.
 */
export function cors(options: CorsOptions): Middleware {
  const resources = resourcesOf(options);
  return async (ctx, next) => {
    const resource = resources.find(({ covers }) => covers(ctx.path));
    if (!resource) {
      await next();
      return;
    }
    const { rule } = resource;
    const allowed = allowedOrigin(resource, ctx.get("Origin"));
    if (rule.vary_header && allowed !== "*") ctx.vary("Origin");
    if (allowed !== undefined) addHeaders(ctx, rule, allowed);
    const isPreflight = ctx.method === "OPTIONS" && ctx.get("Access-Control-Request-Method") !== "";
    if (isPreflight && rule.automatic_options) {
      ctx.status = 200;
      ctx.body = "";
    } else {
      await next();
    }
  };
}

/** What `Access-Control-Allow-Origin` says, or undefined: no header. */
function allowedOrigin({ rule, allows }: Resource, origin: string): string | undefined {
  if (rule.origins.includes("*") && rule.send_wildcard && !rule.supports_credentials) {
    return origin !== "" || rule.always_send ? "*" : undefined;
  }
  if (origin !== "") return allows(origin) ? origin : undefined;
  const [only = "*", ...others] = rule.origins;
  return rule.always_send && others.length === 0 && isLiteral(only) ? only : undefined;
}

function addHeaders(ctx: Context, rule: CorsRule, origin: string): void {
  ctx.set("Access-Control-Allow-Origin", origin);
  if (rule.supports_credentials) ctx.set("Access-Control-Allow-Credentials", "true");
  if (rule.headers.length > 0) ctx.set("Access-Control-Allow-Headers", allowedHeaders(ctx, rule));
  if (rule.expose_headers.length > 0) ctx.set("Access-Control-Expose-Headers", rule.expose_headers.join(", "));
  if (ctx.method !== "OPTIONS") return;
  ctx.set("Access-Control-Allow-Methods", rule.methods.join(", "));
  if (rule.max_age !== undefined) ctx.set("Access-Control-Max-Age", String(rule.max_age));
}

/** Browsers take `*` literally when credentials are sent: then whatever is asked for is allowed by name. */
function allowedHeaders(ctx: Context, { headers, supports_credentials: credentials }: CorsRule): string {
  const asked = ctx.get("Access-Control-Request-Headers");
  return headers.includes("*") && credentials && asked !== "" ? asked : headers.join(", ");
}

function resourcesOf(options: CorsOptions): readonly Resource[] {
  const { resources = ["*"], ...rule } = options;
  if (isList(resources)) return [resource(resources, rule)];
  return Object.entries(resources)
    .sort(([a], [b]) => b.length - a.length)
    .map(([pattern, own]) => resource([pattern], { ...rule, ...definedOf(own) }));
}

function isList(resources: NonNullable<CorsOptions["resources"]>): resources is readonly string[] {
  return Array.isArray(resources);
}

function resource(patterns: readonly string[], rule: CorsRule): Resource {
  const paths = patterns.map((pattern) => matcher("cors.resources", pattern, "(?:/.*)?"));
  const origins = rule.origins.map((pattern) => matcher("cors.origins", pattern, ""));
  return {
    rule,
    covers: (path) => paths.some((matches) => matches.test(path)),
    allows: (origin) => origins.some((matches) => matches.test(origin)),
  };
}

function definedOf(rule: Partially<CorsRule>): Partial<CorsRule> {
  return Object.fromEntries(Object.entries(rule).filter(([, value]) => value !== undefined));
}

function isLiteral(pattern: string): boolean {
  return !/[*\\^$?+|()[\]{}]/.test(pattern);
}

/** `rest` is what may follow a literal. */
function matcher(option: string, pattern: string, rest: string): RegExp {
  const escaped = pattern.replace(/[.\\^$?+|()[\]{}]/g, "\\$&");
  if (isLiteral(pattern)) return new RegExp(`^${escaped.replace(/\/$/, rest === "" ? "$&" : "")}${rest}$`, "i");
  const isGlob = isLiteral(pattern.replaceAll("*", "")) && !pattern.includes(".*");
  try {
    return new RegExp(`^(?:${isGlob ? escaped.replaceAll("*", ".*") : pattern})$`, "i");
  } catch (error) {
    throw new Error(`${option}: ${pattern} is neither a name, a pattern with * nor a regular expression`, {
      cause: error,
    });
  }
}
