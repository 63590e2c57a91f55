import type { Middleware } from "koa";

/** Something that has to work for requests to be served. `check` rejects with the reason when it doesn't. */
export interface HealthCheck {
  readonly name: string;
  check(): Promise<void>;
}

/** What `/readyz` looks at. Times in seconds. */
export interface HealthOptions {
  readonly checks: readonly HealthCheck[];
  /** How long a check may take. Default 5. */
  readonly timeout?: number;
  /** How long a result is believed, so that probes don't burden the storage. Default 2. */
  readonly maxAge?: number;
  /** Hears of a check's first failure (with the reason) and of its recovery (without). */
  readonly onChange?: (name: string, reason?: Error) => void;
}

/** The probes of a process. After `drain` it is not ready any more. */
export interface Health {
  readonly middleware: Middleware;
  drain(): void;
}

/**
 * `GET /livez`: the process answers. `GET /readyz`: 200 when every check passes, else 503, as while draining; with
 * `?verbose` a JSON object that names the checks. Why one fails is for `onChange`, never for the answer.
 */
export function health({ checks, timeout = 5, maxAge = 2, onChange }: HealthOptions): Health {
  const watched = checks.map((check) => watch(check, timeout, maxAge, onChange));
  let draining = false;
  const middleware: Middleware = async (ctx, next) => {
    const isProbe = (ctx.path === "/livez" || ctx.path === "/readyz") && ["GET", "HEAD"].includes(ctx.method);
    if (!isProbe) {
      await next();
      return;
    }
    const results = ctx.path === "/livez" ? [] : await Promise.all(watched.map((passes) => passes()));
    const passed = results.every(({ passes }) => passes);
    const status = ctx.path === "/readyz" && draining ? "draining" : passed ? "ok" : "failing";
    ctx.status = status === "ok" ? 200 : 503;
    ctx.set("Cache-Control", "no-store");
    ctx.body =
      "verbose" in ctx.query
        ? { status, checks: Object.fromEntries(results.map(({ name, passes }) => [name, passes ? "ok" : "failing"])) }
        : `${status}\n`;
  };
  return {
    middleware,
    drain: () => {
      draining = true;
    },
  };
}

interface Result {
  readonly name: string;
  readonly passes: boolean;
}

/** Probes that come while a check runs, or soon after, share its result. */
function watch(
  check: HealthCheck,
  timeout: number,
  maxAge: number,
  onChange: HealthOptions["onChange"],
): () => Promise<Result> {
  let last: { readonly result: Promise<Result>; until: number } | undefined;
  const { name } = check;
  let passed = true;
  const run = async (): Promise<Result> => {
    let reason: Error | undefined;
    try {
      await within(timeout, check.check());
    } catch (error) {
      reason = error instanceof Error ? error : new Error(String(error));
    }
    const passes = reason === undefined;
    if (passes !== passed) onChange?.(name, reason);
    passed = passes;
    return { name, passes };
  };
  return async () => {
    if (last && performance.now() < last.until) return await last.result;
    const current = { result: run(), until: Infinity };
    last = current;
    const result = await current.result;
    current.until = performance.now() + maxAge * 1000;
    return result;
  };
}

async function within(seconds: number, work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`no answer within ${seconds} s`));
    }, seconds * 1000);
  });
  try {
    await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
