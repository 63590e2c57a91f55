import cluster from "node:cluster";
import { hostname } from "node:os";
import { dirname, resolve } from "node:path";
import { findStorage } from "../drivers/storage/index.ts";
import type { Loaded } from "./config/flavors.ts";
import { createLog, type Log } from "./log.ts";
import { folderProbe } from "./probes.ts";
import { runServer } from "./run.ts";

/** What `serve` is told beside the configuration. */
export interface ServeOptions {
  readonly version: string;
  /** What `_ping` tells when `debug` is on. */
  readonly debug: Readonly<Record<string, unknown>>;
  /** Log for people instead of programs. */
  readonly readable: boolean;
  /** Ends the server in order; `cut` at once. */
  readonly stop: AbortSignal;
  readonly cut: AbortSignal;
  /** Told once, where it listens. */
  readonly onListening: (url: string) => void;
}

/**
 * Serves a flavor until it is told to stop; resolves with the exit code. Relative paths of keys and certificates are
 * looked up from the configuration file's folder.
 */
export async function serve({ settings, flavor, file }: Loaded, options: ServeOptions): Promise<number> {
  const { version, debug, readable, stop, cut, onListening } = options;
  const { host, port, tls, header_timeout: headerTimeout, shutdown_timeout: shutdownTimeout } = settings.http;
  const folder = dirname(file);
  const log = createLog({ level: settings.loglevel, readable });
  if (settings.storage === "local" && cluster.isPrimary) await warnOfFolder(settings.storage_path, log);
  return await runServer({
    workers: settings.workers,
    listen: {
      host,
      port,
      headerTimeout,
      tls: tls && {
        certificate: resolve(folder, tls.certificate),
        key: resolve(folder, tls.key),
        clientAuthorities: tls.client_ca === undefined ? undefined : resolve(folder, tls.client_ca),
      },
    },
    metrics: settings.metrics,
    shutdownTimeout,
    createApp: async (context) => {
      // Here, so that commands that only look at the configuration don't load the whole server.
      const { createApp } = await import("./app.ts");
      return await createApp(settings, { ...context, version, flavor, host: hostname(), folder, debug });
    },
    claim: async (member) => await findStorage(settings.storage)?.claim?.(settings, member),
    stop,
    cut,
    log,
    onListening,
  });
}

/** A store that can only be read is served; that pushes fail, nobody should have to find out by pushing. */
async function warnOfFolder(path: string, log: Log): Promise<void> {
  const probe = folderProbe(path);
  try {
    await probe.run(new AbortController().signal);
  } catch (error) {
    const because = error instanceof Error && error.cause instanceof Error ? `: ${error.cause.message}` : "";
    log.warn({}, `storage_path ${probe.subject}: pushes will fail${because}. ${probe.remedy}`);
  }
}
