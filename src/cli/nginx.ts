import { posix } from "node:path";
import { CommandError } from "./exit.ts";
import { quotable, type FrontEnd } from "./front-end.ts";
import { fill } from "./template.ts";

/** What is only nginx's. */
export interface NginxOptions {
  /** The internal location that the registry names in X-Accel-Redirect; undefined leaves sending to the registry. */
  readonly location: string | undefined;
  /** For nginx before 1.3.9, built with the chunkin module. */
  readonly legacy: boolean;
}

/** Headers of the registry that nginx forgets over X-Accel-Redirect. It keeps type, disposition, caching and cookies. */
const kept = [
  "ETag",
  "Last-Modified",
  "Docker-Content-Digest",
  "Docker-Distribution-Api-Version",
  "X-Docker-Registry-Version",
  "X-Docker-Registry-Config",
  "X-Docker-Size",
  "X-Docker-Checksum-Payload",
  "X-Docker-Payload-Checksum",
  "X-Docker-Token",
  "X-Docker-Endpoints",
  "WWW-Authenticate",
  "X-Request-Id",
  "Access-Control-Allow-Origin",
  "Access-Control-Allow-Headers",
  "Access-Control-Expose-Headers",
  "Access-Control-Allow-Credentials",
  "Vary",
];

/** The file for nginx: everything between its `http {` and `}`. */
export async function nginxConfiguration(proxy: FrontEnd, { location, legacy }: NginxOptions): Promise<string> {
  const { tls, port } = proxy;
  const prefix = location === undefined ? undefined : internalLocation(location);
  return await fill("nginx.conf", {
    ...proxy,
    names: proxy.names.join(" "),
    several: proxy.upstreams.length > 1,
    listen: listen(proxy, port, tls ? " ssl" : ""),
    redirect: tls &&
      tls.redirectPort > 0 && {
        listen: listen(proxy, tls.redirectPort, ""),
        status: legacy ? 301 : 308,
        port: port === 443 ? "" : `:${port}`,
      },
    tls: tls && {
      certificate: quoted(tls.certificate),
      key: quoted(tls.key),
      protocols: legacy ? "TLSv1 TLSv1.1 TLSv1.2" : "TLSv1.2 TLSv1.3",
    },
    auth: proxy.auth !== undefined && { path: quoted(proxy.auth) },
    challenge: proxy.auth !== undefined && !legacy,
    legacy,
    offload: prefix !== undefined &&
      proxy.folder !== undefined && {
        prefix,
        location: quoted(prefix),
        folder: quoted(proxy.folder.endsWith("/") ? proxy.folder : `${proxy.folder}/`),
        headers: kept.map((name) => ({
          name,
          variable: `upstream_http_${name.toLowerCase().replaceAll("-", "_")}`,
          always: legacy ? "" : " always",
        })),
      },
  });
}

function listen({ addresses }: FrontEnd, port: number, flags: string): string[] {
  const all = addresses.length > 0 ? addresses.map((address) => `${address}:${port}`) : [String(port), `[::]:${port}`];
  return all.map((address) => address + flags);
}

function internalLocation(location: string): string {
  const path = posix.normalize(`${location}/`);
  if (/^\/(|_ping\/.*|v[12]\/.*)$/.test(path)) {
    throw new CommandError(
      "usage",
      `nginx_x_accel_redirect: ${location} hides the registry itself; use a path such as /internal`,
    );
  }
  return path;
}

/** nginx has no way to write a dollar sign in most places. */
function quoted(text: string): string {
  return quotable(text, /[\p{Cc}$]/u);
}
