import type Router from "@koa/router";
import { answer } from "./answer.ts";
import type { V1Parts } from "./parts.ts";

/** Whether this is a registry, and whether it works: `/`, `_ping`, `_status`. Nobody needs a token for these. */
export function pingRoutes(router: Router, { options, services }: V1Parts): void {
  router.get("/", (ctx) => {
    answer(ctx, options.issue ?? `registryctl server (${options.flavor}) (v${options.version})`);
  });

  router.get(["/_ping", "/v1/_ping"], (ctx) => {
    ctx.set("X-Docker-Registry-Standalone", options.mirrors ? "mirror" : options.standalone ? "True" : "False");
    answer(ctx, options.debug ?? true);
  });

  router.get(["/_status", "/v1/_status"], async (ctx) => {
    const names = Object.keys(services).sort();
    const results = await Promise.all(names.map(async (name) => [name, await failure(services[name])] as const));
    const failures = Object.fromEntries(results.filter(([, reason]) => reason !== undefined));
    answer(ctx, { failures, host: options.host, services: names }, Object.keys(failures).length === 0 ? 200 : 503);
  });
}

async function failure(check: (() => Promise<void>) | undefined): Promise<string | undefined> {
  if (!check) return "unconfigured";
  try {
    await check();
    return undefined;
  } catch {
    return "unreachable";
  }
}
