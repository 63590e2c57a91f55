import type { AppEnvironment } from "./app.ts";
import type { Settings } from "./config/schema.ts";
import type { Offload } from "./http/offload.ts";
import type { V1Options } from "./v1/parts.ts";

/** What V1 is told of the settings. */
export function v1Options(settings: Settings, { version, flavor, host, debug }: AppEnvironment): V1Options {
  return {
    version,
    flavor,
    host,
    standalone: settings.standalone,
    mirrors: settings.mirroring?.source !== undefined,
    issue: settings.issue,
    debug: settings.debug ? { host: [host], ...debug } : undefined,
    endpoints: settings.registry_endpoints,
    maxJsonSize: settings.http.max_json_size,
    maxLayerSize: settings.http.max_layer_size,
    idleTimeout: settings.http.idle_timeout,
    fixedCors: settings.cors === undefined,
    offload: offloadOf(settings),
  };
}

/** Who the settings say sends blobs in our place. */
export function offloadOf(settings: Settings): Offload {
  return {
    xAccelPrefix: settings.nginx_x_accel_redirect,
    xSendfile: settings.apache_x_sendfile,
    redirect: settings.storage_redirect,
  };
}
