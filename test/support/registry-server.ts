import { alone, amongStrangers } from "../../src/drivers/storage/coherence.ts";
import { Attempts } from "../../src/server/accounts/attempts.ts";
import { createApp } from "../../src/server/app.ts";
import { settingsOf, type SettingsInput } from "../../src/server/config/schema.ts";
import { createLog } from "../../src/server/log.ts";
import type { App } from "../../src/server/run.ts";
import { listen, type ListenOptions, type RunningServer } from "../../src/server/server.ts";
import { KeyedLock } from "../../src/server/registry/keyed-lock.ts";
import { V1Client, type V1ClientOptions } from "./v1-client.ts";

/** A registry served from this process. */
export interface RegistryServer {
  readonly url: string;
  readonly port: number;
  readonly client: V1Client;
  /** What the server logged, one JSON object a line. */
  readonly log: readonly string[];
  /** What it has counted; undefined where that is not wanted. */
  readonly metrics: App["metrics"];
  connect(options?: V1ClientOptions): V1Client;
  /** Serves the same on another port. */
  alsoListen(options: Partial<ListenOptions>): Promise<string>;
  close(): Promise<void>;
}

/** Serves a whole registry on a free port of 127.0.0.1, in memory unless `settings` say otherwise. */
export async function startRegistry(settings: Partial<SettingsInput> = {}): Promise<RegistryServer> {
  const log: string[] = [];
  const whole = settingsOf({ storage: "memory", loglevel: "debug", ...settings });
  const app = await createApp(whole, {
    version: "9.9.9",
    flavor: "test",
    host: "testhost",
    folder: process.cwd(),
    isFirst: true,
    debug: {},
    // Tests change files behind its back, and let others do so.
    turns: new KeyedLock(),
    attempts: new Attempts(),
    coherence: settings.storage === "local" ? amongStrangers : alone,
    log: createLog({ level: whole.loglevel, destination: { write: (line) => log.push(line) } }),
  });
  const others: RunningServer[] = [];
  const server = await listen(app.handler, { host: "127.0.0.1", port: 0 });
  return {
    url: server.url,
    port: server.port ?? 0,
    client: new V1Client(server.url),
    log,
    metrics: app.metrics,
    connect: (options) => new V1Client(server.url, options),
    alsoListen: async (options) => {
      const other = await listen(app.handler, { host: "127.0.0.1", port: 0, ...options });
      others.push(other);
      return other.url;
    },
    close: async () => {
      for (const each of [server, ...others]) await each.close(1);
      await app.close();
    },
  };
}
