import { Option } from "@commander-js/extra-typings";
import { resolve } from "node:path";
import type { Settings } from "../server/index.ts";
import { repeated, wholeNumber } from "./command.ts";
import { CommandError } from "./exit.ts";

/** The options that `gen-nginx` and `gen-apache` share, so that one command line fits both. */
export const frontEndOptions = {
  serverName: new Option(
    "-n, --server-name <host>",
    "name that clients use; may be repeated (default: the host of public_url)",
  ).argParser(repeated),
  listen: new Option("--listen <address>", "address to listen on; may be repeated (default: all)").argParser(repeated),
  port: new Option("-p, --port <number>", "port to listen on (default: 443, without TLS 80)").argParser(
    wholeNumber(1, 65535),
  ),
  tlsCertificate: new Option(
    "--tls-certificate <file>",
    "certificate and its chain (PEM); with --tls-key serves HTTPS",
  ),
  tlsKey: new Option("--tls-key <file>", "private key of the certificate (PEM)"),
  redirectPort: new Option("--redirect-port <number>", "port whose requests are sent on to HTTPS; 0 for none")
    .argParser(wholeNumber(0, 65535))
    .default(80),
  basicAuth: new Option(
    "-a, --basic-auth <file>",
    "ask for a password from this htpasswd file, except for the V1 ping",
  ),
  upstream: new Option(
    "--upstream <address>",
    "host:port or unix:/path of a registry; may be repeated (default: where the flavor listens)",
  ).argParser(repeated),
  offload: new Option("--offload", "let the proxy send what lies in local storage (default: as the flavor says)"),
} as const;

/** The values of `frontEndOptions` as commander yields them. */
export interface FrontEndFlags {
  readonly serverName?: readonly string[] | undefined;
  readonly listen?: readonly string[] | undefined;
  readonly port?: number | undefined;
  readonly tlsCertificate?: string | undefined;
  readonly tlsKey?: string | undefined;
  readonly redirectPort: number;
  readonly basicAuth?: string | undefined;
  readonly upstream?: readonly string[] | undefined;
  readonly offload?: true | undefined;
}

/** A proxy as it is wanted, checked and with absolute paths; the syntax of nginx or Apache is still to come. */
export interface FrontEnd {
  readonly flavor: string;
  readonly version: string;
  readonly names: readonly string[];
  /** Empty for all of the machine. */
  readonly addresses: readonly string[];
  readonly port: number;
  readonly tls: { readonly certificate: string; readonly key: string; readonly redirectPort: number } | undefined;
  /** The htpasswd file. */
  readonly auth: string | undefined;
  readonly upstreams: readonly string[];
  readonly scheme: "http" | "https";
  /** Seconds. */
  readonly timeout: number;
  /** The folder of local storage, when it is there that the proxy may read. */
  readonly folder: string | undefined;
  /** What the operator should know beside the file. */
  readonly notes: readonly string[];
}

/** Joins the configuration and the flags; anything that would make a proxy that can't work is wrong usage. */
export function frontEnd(
  settings: Settings,
  flags: FrontEndFlags,
  { cwd, flavor, version }: { readonly cwd: string; readonly flavor: string; readonly version: string },
): FrontEnd {
  const tls = tlsOf(flags, cwd);
  const names = flags.serverName ?? (settings.public_url ? [new URL(settings.public_url).hostname] : ["localhost"]);
  const { idle_timeout: idle, trusted_proxies: trusted } = settings.http;
  const notes: string[] = [];
  if (!flags.serverName && !settings.public_url) notes.push("no --server-name: the file says localhost");
  if (flags.basicAuth !== undefined && !tls) {
    notes.push("passwords without TLS: anybody on the way can read them, and docker sends them to nothing but HTTPS");
  }
  if (trusted.length === 0) {
    notes.push("the registry believes no proxy: set http.trusted_proxies to the addresses this one comes from");
  }
  if (flags.basicAuth !== undefined && !settings.standalone && !settings.disable_token_auth) {
    throw new CommandError(
      "usage",
      "--basic-auth and the tokens of an index server need the same header: set standalone or disable_token_auth to true",
    );
  }
  if (flags.offload && settings.storage !== "local") {
    throw new CommandError("usage", `--offload needs local storage; flavor ${flavor} has ${settings.storage}`);
  }
  const port = flags.port ?? (tls ? 443 : 80);
  return {
    flavor,
    version,
    names: names.map(checked("--server-name", /^[\w*][\w.*-]*$/)),
    addresses: (flags.listen ?? []).map(checked("--listen", /^([\w.-]+|\[[\da-f:.]+\])$/i)),
    port,
    tls: tls && { ...tls, redirectPort: flags.redirectPort === port ? 0 : flags.redirectPort },
    auth: flags.basicAuth === undefined ? undefined : resolve(cwd, flags.basicAuth),
    upstreams: (flags.upstream ?? [listening(settings)]).map(
      checked("--upstream", /^(([\w.-]+|\[[\da-f:.]+\]):\d{1,5}|unix:\/[^\s;"'|]+)$/i),
    ),
    scheme: settings.http.tls ? "https" : "http",
    timeout: idle === 0 ? 86_400 : Math.max(idle, 900),
    folder: settings.storage === "local" ? resolve(cwd, settings.storage_path) : undefined,
    notes,
  };
}

function tlsOf(flags: FrontEndFlags, cwd: string): { readonly certificate: string; readonly key: string } | undefined {
  const { tlsCertificate: certificate, tlsKey: key } = flags;
  if (certificate === undefined && key === undefined) return undefined;
  if (certificate === undefined || key === undefined) {
    throw new CommandError("usage", "--tls-certificate and --tls-key go together");
  }
  return { certificate: resolve(cwd, certificate), key: resolve(cwd, key) };
}

/** Where a proxy on the same machine finds the registry. */
function listening({ http: { host, port } }: Settings): string {
  if (host.startsWith("unix:")) return host;
  const near = host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host;
  return `${near.includes(":") ? `[${near}]` : near}:${port}`;
}

function checked(flag: string, pattern: RegExp): (text: string) => string {
  return (text) => {
    if (pattern.test(text)) return text;
    throw new CommandError("usage", `${flag} '${text}' is not what is expected there`);
  };
}

/** Refuses what no quoting can carry into a configuration file. */
export function quotable(text: string, forbidden: RegExp): string {
  if (forbidden.test(text)) throw new CommandError("usage", `'${text}' has characters that the file cannot hold`);
  return `"${text.replaceAll(/["\\]/g, "\\$&")}"`;
}
