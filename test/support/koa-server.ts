import Koa, { type Context, type Middleware } from "koa";
import { RegistryError } from "../../src/server/errors.ts";
import { errorHandling, strayErrors, type Failure } from "../../src/server/http/errors.ts";
import { listen, type ListenOptions, type RunningServer } from "../../src/server/server.ts";

/** A Koa application on a port of 127.0.0.1, with the faults it met. */
export interface KoaServer extends RunningServer {
  readonly port: number;
  readonly faults: Error[];
}

/** Serves `middleware` behind `errorHandling`, failures as `{"error": …, "code": …}`. */
export async function koaServer(
  middleware: (ctx: Context) => unknown,
  options: Partial<ListenOptions> & { readonly outer?: readonly Middleware[] } = {},
): Promise<KoaServer> {
  const faults: Error[] = [];
  const onFault = (error: Error): number => faults.push(error);
  const app = new Koa();
  for (const outer of options.outer ?? []) app.use(outer);
  app.use(errorHandling({ render, onFault }));
  app.use(async (ctx) => {
    await middleware(ctx);
  });
  app.on("error", strayErrors(onFault));
  const server = await listen(app.callback(), { host: "127.0.0.1", port: 0, ...options });
  if (server.port === undefined) throw new Error("the server has no port");
  return { ...server, port: server.port, faults };
}

/** What a router answers where nothing is. */
export function nothing(): never {
  throw new RegistryError("NOT_FOUND");
}

function render({ message, code }: Failure): { type: string; body: string } {
  return { type: "application/json", body: JSON.stringify({ error: message, code }) };
}
