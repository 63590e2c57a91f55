import { resolve } from "node:path";
import type { Draft } from "../server/index.ts";
import { words } from "./init-questions.ts";
import { objectStoreDraft } from "./object-store-questions.ts";
import type { Answers } from "./questions.ts";

/** The options of the flavor that the answers come to: what was chosen and nothing that is as it would be anyway. */
export function draftOf(answers: Answers, cwd: string): Draft {
  const said = (name: string): string | undefined => {
    const value = answers.get(name);
    return typeof value === "string" && value !== "" ? value : undefined;
  };
  const chosen = (name: string, usual: string): string | undefined => (said(name) === usual ? undefined : said(name));
  const file = (name: string): string | undefined => absolute(said(name), cwd);
  const certificate = file("tlsCertificate");
  const key = file("tlsKey");
  const workers = chosen("workers", "1");
  const trusted = said("trustedProxies");
  return {
    storage: said("storage"),
    storage_path: said("storage") === "local" ? file("storagePath") : said("storagePath"),
    ...objectStoreDraft(answers, file),
    http: {
      host: said("host"),
      port: Number(said("port")),
      tls: certificate !== undefined && key !== undefined ? { certificate, key } : undefined,
      trusted_proxies: trusted === undefined ? undefined : words(trusted),
    },
    workers: workers === "auto" ? workers : workers && Number(workers),
    public_url: said("publicUrl"),
    nginx_x_accel_redirect: said("offload") === "nginx" ? "/internal" : undefined,
    apache_x_sendfile: said("offload") === "apache" ? true : undefined,
    loglevel: chosen("loglevel", "info"),
    standalone: answers.get("standalone") === false ? false : undefined,
    index_endpoint: answers.get("standalone") === false ? said("indexEndpoint") : undefined,
    privileged_key: file("privilegedKey"),
    search_backend: said("search") === "database" ? "database" : undefined,
    sqlalchemy_index_database: said("search") === "database" ? absoluteDatabase(said("database"), cwd) : undefined,
    cache_lru: redisOf(said("redis")),
    email_exceptions: mailOf(said("mail"), said("mailPassword"), said("mailFrom"), said("mailTo")),
  };
}

/** Whether a draft holds what only its owner may read. */
export function holdsSecrets(answers: Answers): boolean {
  const password = [...answers.values()].some(
    (value) => typeof value === "string" && /^\w+:\/\/[^/@]*:[^/@]*@/.test(value),
  );
  return password || Boolean(answers.get("mailPassword"));
}

/** Paths mean the folder that `init` ran in, whatever folder the server runs in. */
function absolute(path: string | undefined, cwd: string): string | undefined {
  return path === undefined || /^(~\/|_env:)/.test(path) ? path : resolve(cwd, path);
}

function absoluteDatabase(url: string | undefined, cwd: string): string | undefined {
  const relative = /^sqlite:\/\/\/(?<path>[^/:].*)$/s.exec(url ?? "")?.groups?.["path"];
  return relative === undefined ? url : `sqlite:///${resolve(cwd, relative)}`;
}

function redisOf(text: string | undefined): Draft | undefined {
  if (text === undefined) return undefined;
  const { hostname, port, password, pathname } = new URL(text);
  const db = Number(pathname.slice(1));
  return {
    host: bare(hostname),
    port: port === "" ? undefined : Number(port),
    db: db === 0 ? undefined : db,
    password: password === "" ? undefined : decodeURIComponent(password),
  };
}

function mailOf(
  text: string | undefined,
  password: string | undefined,
  from: string | undefined,
  to: string | undefined,
): Draft | undefined {
  if (text === undefined) return undefined;
  const url = new URL(text);
  const secure = url.protocol === "smtps:";
  return {
    smtp_host: bare(url.hostname),
    smtp_port: url.port === "" ? (secure ? 465 : 25) : Number(url.port),
    smtp_login: url.username === "" ? undefined : decodeURIComponent(url.username),
    smtp_password: password ?? (url.password === "" ? undefined : decodeURIComponent(url.password)),
    smtp_secure: secure ? true : undefined,
    from_addr: from,
    to_addr: to,
  };
}

function bare(hostname: string): string {
  return hostname.replace(/^\[(.*)\]$/, "$1");
}
