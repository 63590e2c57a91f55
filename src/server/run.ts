import cluster from "node:cluster";
import { once } from "node:events";
import { randomUUID } from "node:crypto";
import { availableParallelism } from "node:os";
import type { Claim, Member } from "../drivers/storage/claim.ts";
import { alone, type Coherence } from "../drivers/storage/coherence.ts";
import { Attempts, type FailureCount } from "./accounts/attempts.ts";
import { coherenceOf, logOthers, type Companions } from "./coherence.ts";
import type { Log } from "./log.ts";
import { KeyedLock, type Turns } from "./registry/keyed-lock.ts";
import type { ExpositionOptions } from "./metrics/exposition.ts";
import type { Snapshot } from "./metrics/snapshot.ts";
import type { Peers } from "./mirror/peers.ts";
import { listen, removeStaleSocket, type Handler, type ListenOptions, type RunningServer } from "./server.ts";
import { MetricsGathering, type MetricsAnswering } from "./worker-metrics.ts";
import { asWorker, supervise } from "./workers.ts";

/** What a process serves, and how it lets go of what it holds. */
export interface App {
  readonly handler: Handler;
  /** What has been counted so far; undefined where nothing is. */
  readonly metrics?: (() => Promise<readonly Snapshot[]>) | undefined;
  /** Called when the process has been told to stop, while requests are still in flight. */
  drain(): void;
  /** Called once no request is left. */
  close(): Promise<void>;
}

/** What an app needs to know of the process that it is in. */
export interface AppContext {
  /** True in exactly one process: the one that does the jobs which only one may do. */
  readonly isFirst: boolean;
  readonly log: Log;
  readonly coherence: Coherence;
  readonly turns: Turns;
  /** The other processes of the server, where there are some. */
  readonly peers?: Peers | undefined;
  readonly attempts: FailureCount;
}

/** How to run. `stop` ends it in order, as the first signal does; `cut` at once, as the second one may. */
export interface RunOptions {
  /** How many processes; `auto` is one for every processor. */
  readonly workers: number | "auto";
  readonly listen: Omit<ListenOptions, "onError">;
  /** Where to show what is counted. */
  readonly metrics?: ExpositionOptions | undefined;
  /** Seconds that requests may take to finish after `stop`. */
  readonly shutdownTimeout: number;
  readonly createApp: (context: AppContext) => Promise<App>;
  /** Claims the store that the app opens, for as long as the app is there; undefined where it can't be claimed. */
  readonly claim: (member: Member) => Promise<Claim | undefined>;
  readonly stop: AbortSignal;
  readonly cut?: AbortSignal;
  readonly log: Log;
  /** Told once, in the process that was started: the server's address. */
  readonly onListening?: (url: string) => void;
}

/** How long an app may take to close, in milliseconds. */
const closeTimeout = 10_000;

/**
 * Serves until it is told to stop; resolves with the exit code. Rejects when it can't start: with `ListenError`, or as
 * `createApp` does. With more than one worker the process it was called in only supervises: it starts its own program
 * again with the same arguments, and there the same call serves. The first worker is ready before others start.
 */
export async function runServer(options: RunOptions): Promise<number> {
  const { log, stop, cut = new AbortController().signal, onListening } = options;
  if (cluster.isWorker) {
    return await asWorker(
      { stop, cut },
      async ({ group, slot, companions, turns, attempts, metrics, peers, ...signals }, ready) => {
        const worker = { ...options, ...signals, log: log.child({ worker: slot }), onListening: ready };
        await serve(worker, { group, slot }, { companions, turns, attempts, metrics, peers });
      },
    );
  }
  for (const { host } of [options.listen, ...(options.metrics ? [options.metrics] : [])]) await removeStaleSocket(host);
  const workers = options.workers === "auto" ? availableParallelism() : options.workers;
  if (workers > 1) return await superviseMeasured({ ...options, cut, workers });
  const single = { ...options, cut, onListening: (url: string) => onListening?.(url) };
  await serve(
    single,
    { group: randomUUID(), slot: 0 },
    { companions: alone, turns: new KeyedLock(), attempts: new Attempts() },
  );
  return 0;
}

/** The supervisor shows what its workers have counted. */
async function superviseMeasured(
  options: Omit<RunOptions, "workers"> & { readonly workers: number; readonly cut: AbortSignal },
): Promise<number> {
  const { metrics, log } = options;
  if (!metrics) return await supervise(options);
  const { totalOf } = await import("./metrics/exposition.ts");
  const gathering = new MetricsGathering(totalOf);
  const exposition = await expose(metrics, log, async () => await gathering.snapshots());
  try {
    return await supervise({ ...options, gathering });
  } finally {
    await exposition.close(0);
  }
}

/** Loaded only where it is used. */
async function expose(
  metrics: ExpositionOptions,
  log: Log,
  snapshots: () => Promise<readonly (readonly Snapshot[])[]>,
): Promise<RunningServer> {
  const { exposeMetrics } = await import("./metrics/exposition.ts");
  const exposition = await exposeMetrics({ ...metrics, onError: logged(log) }, snapshots);
  log.info({ url: exposition.url }, `metrics are at ${exposition.url}`);
  return exposition;
}

function logged(log: Log): (what: string, error: unknown) => void {
  return (what, error) => {
    log.error({ err: error }, what);
  };
}

type ServeOptions = Omit<RunOptions, "workers"> & Required<Pick<RunOptions, "cut" | "onListening">>;

/** How a process goes together with the others of its server. */
interface Others {
  readonly companions: Companions;
  readonly turns: Turns;
  readonly peers?: Peers;
  readonly attempts: FailureCount;
  /** Who is told what this process counts, where another shows it. */
  readonly metrics?: Pick<MetricsAnswering, "tell">;
}

async function serve(
  { createApp, claim, stop, cut, log, ...options }: ServeOptions,
  member: Member,
  others: Others,
): Promise<void> {
  const starting = open({ createApp, claim, log }, member, others);
  const app = await Promise.race([starting, aborted(stop)]);
  if (!app) {
    starting.then(async (late) => {
      await late.close();
    }, ignored);
    return;
  }
  let exposition: RunningServer | undefined;
  try {
    const { metrics } = app;
    if (metrics) others.metrics?.tell(metrics);
    if (metrics && options.metrics && !others.metrics) {
      exposition = await expose(options.metrics, log, async () => [await metrics()]);
    }
    const server = await listen(app.handler, { ...options.listen, onError: logged(log) });
    log.info({ url: server.url }, `listening on ${server.url}`);
    options.onListening(server.url);
    await aborted(stop);
    app.drain();
    log.info({ seconds: options.shutdownTimeout }, "stopping when the requests in flight are done");
    const cutNow = (): void => {
      server.cut();
    };
    cut.addEventListener("abort", cutNow, { once: true });
    const lost = await server.close(cut.aborted ? 0 : options.shutdownTimeout);
    if (lost > 0) log.warn({ connections: lost }, "cut connections that were busy");
  } finally {
    await exposition?.close(0);
    await closed(app);
  }
  log.info({}, "stopped");
}

/** Creates the app on the store that the process has claimed; the claim ends when the app is closed. */
async function open(
  { createApp, claim, log }: Pick<ServeOptions, "createApp" | "claim" | "log">,
  member: Member,
  { companions, turns, attempts, peers }: Others,
): Promise<App> {
  const held = await claim(member);
  const isFirst = member.slot === 0;
  if (held && isFirst) logOthers(held, log);
  try {
    const app = await createApp({ isFirst, log, coherence: coherenceOf(held, companions), turns, attempts, peers });
    return {
      handler: app.handler,
      metrics: app.metrics,
      drain: () => {
        app.drain();
      },
      close: async () => {
        await app.close();
        await held?.release();
      },
    };
  } catch (error) {
    await held?.release();
    throw error;
  }
}

async function closed(app: App): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`The server did not close its storage and databases within ${closeTimeout / 1000} s`));
    }, closeTimeout);
  });
  await Promise.race([app.close(), late]).finally(() => {
    clearTimeout(timer);
  });
}

async function aborted(signal: AbortSignal): Promise<undefined> {
  if (!signal.aborted) await once(signal, "abort");
}

/** The process is told to stop anyway: that it could not have started is no news. */
function ignored(): void {
  // Nobody waits for it any more.
}
