import Koa from "koa";
import { openReporters } from "../drivers/report/index.ts";
import type { Reporter } from "../drivers/report/reporter.ts";
import type { SearchIndex } from "../drivers/search/search-index.ts";
import { openSearchIndex } from "../drivers/search/index.ts";
import type { Coherence } from "../drivers/storage/coherence.ts";
import { invalidWatch } from "../drivers/storage/watches.ts";
import { health, type HealthCheck } from "./admin/health.ts";
import type { FailureCount } from "./accounts/attempts.ts";
import { isControlled, openAccessControl, type AccessControl } from "./access-control.ts";
import type { Settings } from "./config/schema.ts";
import { Events } from "./registry/events.ts";
import { keepSearchIndex } from "./events/search.ts";
import { RegistryError } from "./errors.ts";
import { cors } from "./http/cors.ts";
import { errorHandling, strayErrors, type Failure, type Rendered } from "./http/errors.ts";
import { clientBehind } from "./http/proxy.ts";
import { requestFacts, requestLog, requestNotes, type RequestLogOptions } from "./http/request-log.ts";
import { securityHeaders } from "./http/security-headers.ts";
import { requestTarget } from "./http/target.ts";
import type { Log } from "./log.ts";
import { LayerAnalysis } from "./registry/layers/analysis.ts";
import type { Peers } from "./mirror/peers.ts";
import type { Mirror } from "./mirror/mirror.ts";
import { openMetrics, openMirroring } from "./optional-parts.ts";
import { offloadOf, v1Options } from "./protocol-options.ts";
import { reapUploads } from "./registry/reaper.ts";
import type { Turns } from "./registry/keyed-lock.ts";
import { createRegistry, type Registry } from "./registry/registry.ts";
import type { App } from "./run.ts";
import { openStore, translateStorageErrors, type Store } from "./store.ts";
import { renderV1, v1, v1Headers } from "./v1/index.ts";
import { renderV2 } from "./v2/answer.ts";
import { HotAnswers } from "./v2/hot.ts";
import { isV2Path, v2, v2Headers } from "./v2/index.ts";
import type { V2Parts } from "./v2/parts.ts";

const notTranslated = "An image of V1 was not made ready for V2";

/** Hours after which an upload that nothing more comes for is removed. */
const abandonedHours = 24;

/** What an application knows of the process that it runs in. */
export interface AppEnvironment {
  readonly version: string;
  readonly flavor: string;
  readonly host: string;
  /** The folder of the configuration file: paths and modules that it names are found from there. */
  readonly folder: string;
  /** Whether this is the process that does what is to be done once. */
  readonly isFirst: boolean;
  /** What `_ping` tells when `debug` is on. */
  readonly debug: Readonly<Record<string, unknown>>;
  readonly log: Log;
  /** Taken by what changes the same document of the store. */
  readonly turns: Turns;
  /** The other processes of the server, which mirror the same. */
  readonly peers?: Peers | undefined;
  /** Counts failed logins. */
  readonly attempts: FailureCount;
  /** What the process may remember of the store, and how the others learn of what it changes. */
  readonly coherence: Coherence;
}

/**
 * Makes the whole registry that `settings` describe, its parts in the order in which they need each other. Rejects with
 * what the first of them to fail has to say.
 */
export async function createApp(settings: Settings, environment: AppEnvironment): Promise<App> {
  const { log } = environment;
  const opened: { close(): Promise<void> }[] = [];
  const keep = <T extends { close(): Promise<void> }>(part: T): T => {
    opened.unshift(part);
    return part;
  };
  const close = async (): Promise<void> => {
    for (const part of opened.splice(0)) await part.close();
  };
  try {
    const report = keep(
      openReporters(settings, {
        log: (message) => {
          log.warn({}, message);
        },
      }),
    );
    const metrics = await openMetrics(settings, environment.version);
    const store = keep(await openStore(settings, log, { ...environment, metrics }));
    const search = await openSearchIndex({
      backend: settings.search_backend,
      databaseUrl: settings.sqlalchemy_index_database,
      folder: environment.folder,
    });
    const analysis = new LayerAnalysis();
    const events = new Events((err, event) => {
      log.error({ err, event }, "What is derived from the store was not brought up to date");
    });
    const mirroring: { mirror?: Mirror | undefined } = {};
    const registry = createRegistry({
      driver: store.driver,
      events,
      analysis,
      turns: environment.turns,
      limits: { maxSize: settings.http.max_layer_size, maxAge: abandonedHours },
      allowSparseIndexes: settings.allow_sparse_indexes,
      v1Platform: settings.v1_platform,
      bring: async (...what) => {
        await mirroring.mirror?.bring(...what);
      },
      bringImage: async (id) => (await mirroring.mirror?.bringImage(id)) === true,
      onUntranslated: (err, image) => {
        if (err instanceof RegistryError) log.info({ image, reason: err.detail ?? err.message }, notTranslated);
        else log.error({ err, image }, notTranslated);
      },
    });
    keep({
      close: async () => {
        // What the bridge has begun ends with the analysis.
        await Promise.all([registry.bridge.close(), analysis.close()]);
      },
    });
    const mirror = await openMirroring(settings, environment, {
      registry,
      driver: store.driver,
      meter: metrics?.mirror,
    });
    if (mirror) mirroring.mirror = keep(mirror);
    const meter = metrics?.requests.begin.bind(metrics.requests);
    const notes = { log, clientOf: clientBehind(settings.http.trusted_proxies), meter };
    const control = keep(
      await openAccessControl(settings, { ...environment, ...notes, registry, driver: store.driver }),
    );
    if (environment.isFirst) {
      keep(
        reapUploads(registry.uploads, {
          onError: (err) => {
            log.error({ err }, "Abandoned uploads could not be removed");
          },
        }),
      );
    }
    keep(keepSearchIndex({ search, events, registry, log, fill: environment.isFirst }));
    const probes = health({ checks: checksOf(store, search), onChange: told(log) });
    const hot = new HotAnswers({
      // What CORS adds depends on who asks.
      watch: settings.cors ? () => invalidWatch : store.watch,
      access: control.access,
      note: requestNotes(notes),
      v1UserAgents: new RegExp(settings.v1_user_agents),
    });
    const app = new Koa();
    compose(app, {
      settings,
      environment,
      store,
      search,
      registry,
      mirror,
      control,
      report,
      notes,
      hot,
      health: probes.middleware,
    });
    const callback = app.callback();
    return {
      handler: (request, response) => {
        if (!hot.answer(request, response)) void callback(request, response);
        else metrics?.answered();
      },
      metrics: metrics?.snapshot.bind(metrics),
      drain: () => {
        probes.drain();
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

function told(log: Log): (name: string, reason?: Error) => void {
  return (name, reason) => {
    if (reason) log.error({ err: reason }, `${name} does not work: not ready`);
    else log.info({}, `${name} works again`);
  };
}

interface Parts {
  readonly settings: Settings;
  readonly environment: AppEnvironment;
  readonly store: Store;
  readonly search: SearchIndex;
  readonly registry: Registry;
  readonly mirror: Mirror | undefined;
  readonly control: AccessControl;
  readonly report: Reporter;
  readonly notes: RequestLogOptions;
  readonly hot: HotAnswers;
  readonly health: Koa.Middleware;
}

/** What every request passes, from the outside in. */
function compose(app: Koa, parts: Parts): void {
  const { settings, environment, store, search, registry, mirror, control, report, notes, hot, health } = parts;
  const { log, version, flavor, host } = environment;
  const onFault = (error: Error, ctx: Koa.Context) => {
    const request = requestFacts(ctx.req, notes.clientOf);
    log.error({ err: error, request: request.id }, "A request met a fault");
    report.report({ error, time: new Date(), server: { version, flavor, host }, request });
  };
  app.on("error", strayErrors(onFault));
  app.use(requestLog(notes));
  app.use(securityHeaders);
  app.use(health);
  if (settings.cors) app.use(cors(settings.cors));
  app.use(v1Headers(environment));
  app.use(v2Headers({ v1UserAgents: new RegExp(settings.v1_user_agents) }));
  app.use(errorHandling({ render: rendering, onFault }));
  app.use(requestTarget);
  app.use(unanswered);
  app.use(translateStorageErrors(onFault));
  if (mirror) app.use(mirror.middleware);
  app.use(v2({ ...v2Parts(settings, registry, control, notes), ...mirror, hot }));
  app.use(
    v1({
      ...registry,
      ...mirror?.v1,
      search,
      access: control.v1,
      hasAccounts: isControlled(settings),
      signUp: control.signUp,
      options: v1Options(settings, environment),
      services: {
        redis: store.pingCache,
        storage: async () => {
          await store.driver.ping();
        },
      },
    }),
  );
}

/** Failures in the form of the protocol that the client speaks. */
function rendering(failure: Failure, ctx: Koa.Context): Rendered {
  return isV2Path(ctx.path) ? renderV2(failure) : renderV1(failure, ctx);
}

function v2Parts(
  settings: Settings,
  registry: Registry,
  { doorkeeper, tokens }: AccessControl,
  { clientOf }: RequestLogOptions,
): Omit<V2Parts, "hot"> {
  return {
    ...registry,
    offload: offloadOf(settings),
    idleTimeout: settings.http.idle_timeout,
    // Relative, unless the operator says what clients call us: what is between us is not ours to guess.
    location: (_ctx, path) => `${settings.public_url ?? ""}${path}`,
    doorkeeper,
    v1UserAgents: new RegExp(settings.v1_user_agents),
    tokens: tokens && { ...tokens, addressOf: ({ req }) => clientOf(req).address },
  };
}

/** What no route has answered becomes an error like all others. */
async function unanswered(ctx: Koa.Context, next: Koa.Next): Promise<void> {
  await next();
  if (ctx.respond === false || (ctx.body !== undefined && ctx.body !== null)) return;
  if (ctx.status === 404) throw new RegistryError("NOT_FOUND");
  if (ctx.status === 405 || ctx.status === 501) throw new RegistryError("METHOD_NOT_ALLOWED");
}

function checksOf(store: Store, search: SearchIndex): readonly HealthCheck[] {
  return [
    {
      name: "storage",
      check: async () => {
        await store.driver.ping();
      },
    },
    {
      name: "search",
      check: async () => {
        await search.ping();
      },
    },
  ];
}
