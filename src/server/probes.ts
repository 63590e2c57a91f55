import { randomUUID, X509Certificate } from "node:crypto";
import { once } from "node:events";
import { constants } from "node:fs";
import { access, open, rm } from "node:fs/promises";
import { request as overHttp, type IncomingMessage } from "node:http";
import { request as overHttps } from "node:https";
import { createServer, connect } from "node:net";
import { dirname, join, resolve } from "node:path";
import { connect as connectTls } from "node:tls";
import { parseDatabaseUrl } from "../drivers/search/database-url.ts";
import { findStorage } from "../drivers/storage/index.ts";
import { accessProbes } from "./access-probes.ts";
import type { AccountSettings } from "./accounts/account-files.ts";
import type { Loaded } from "./config/flavors.ts";
import type { Settings } from "./config/schema.ts";
import { readCertificate, readPrivilegedKey } from "./pem.ts";
import { probeStorage } from "./storage-probe.ts";

/** Something outside the configuration that has to be as the configuration says. */
export interface Probe {
  readonly name: string;
  /** What is looked at, without secrets. */
  readonly subject: string;
  /** What to do when it fails, as a whole sentence. */
  readonly remedy: string;
  /** Answers what was seen; rejects with what is in the way. Leaves things as they were. */
  run(signal: AbortSignal): Promise<string | Doubtful>;
}

/** What will do, but should be better. */
export interface Doubtful {
  readonly detail: string;
  readonly warning: string;
  /** What to do about the warning, as a whole sentence. */
  readonly remedy: string;
}

/** What a flavor needs to be served, in the order in which the server would miss it. */
export function probesOf({ settings, file }: Loaded): readonly Probe[] {
  const folder = dirname(file);
  const {
    auth,
    cache,
    cache_lru: lru,
    email_exceptions: mail,
    http,
    privileged_key: key,
    search_backend: backend,
  } = settings;
  return [
    ...(http.tls ? [tlsProbe(resolve(folder, http.tls.certificate), resolve(folder, http.tls.key))] : []),
    ...(key === undefined ? [] : [keyProbe(resolve(folder, key))]),
    ...(auth?.htpasswd === undefined ? [] : [accountsProbe({ ...auth, htpasswd: auth.htpasswd }, folder)]),
    ...accessProbes(settings, folder),
    storageProbe(settings),
    ...(backend === undefined ? [] : [searchProbe(settings, backend, folder)]),
    ...(cache && !lru ? [redisProbe("cache", cache)] : []),
    ...(lru ? [redisProbe("cache_lru", lru)] : []),
    ...(mail ? [mailProbe(mail)] : []),
    portProbe(settings),
  ];
}

function storageProbe(settings: Settings): Probe {
  if (settings.storage === "local") return folderProbe(settings.storage_path);
  return {
    name: "storage",
    subject: subjectOf(settings),
    remedy: "See that its server runs, correct the options of this storage, or give its user the rights.",
    run: async () => {
      const driver = await findStorage(settings.storage)?.open(settings);
      if (!driver) throw new Error(`this version has no storage ${settings.storage}`);
      try {
        return await probeStorage(driver, settings.storage_redirect);
      } finally {
        await driver.close();
      }
    },
  };
}

/** Where the storage is, as far as one line can tell. */
function subjectOf({ storage, ...settings }: Settings): string {
  if (storage === "swift") return `swift, container ${settings.swift_container}, by ${settings.swift_authurl ?? ""}`;
  if (storage === "glance") return `glance with ${settings.storage_alternate}, by ${settings.swift_authurl ?? ""}`;
  if (storage === "elliptics") return `elliptics at ${(settings.elliptics_nodes ?? []).join(", ")}`;
  if (storage !== "s3" && storage !== "gcs") return storage;
  const named = storage === "s3" ? settings.s3_bucket : undefined;
  const bucket = named ?? settings.boto_bucket ?? "";
  return `${storage}, bucket ${bucket}${settings.boto_host === undefined ? "" : ` at ${settings.boto_host}`}`;
}

/**
 * Not through the driver, which would make its folders: they would belong to whoever runs the probe, and the server
 * may be somebody else.
 */
export function folderProbe(path: string): Probe {
  const folder = resolve(path);
  return {
    name: "storage",
    subject: folder,
    remedy: "Let the user who runs the registry write there, or name another folder in storage_path.",
    run: async () => {
      const missing = await toBeMade(folder);
      if (missing !== undefined) return missing;
      const file = join(folder, `.probe-${randomUUID()}`);
      try {
        const handle = await open(file, "wx");
        try {
          await handle.writeFile("probe");
          await handle.sync();
        } finally {
          await handle.close();
          await rm(file);
        }
      } catch (error) {
        throw new Error("no file can be written", { cause: error });
      }
      return "a file was written and deleted";
    },
  };
}

/** That `path` can be made, where it isn't there yet; undefined where it is. Rejects when it can't. */
async function toBeMade(path: string): Promise<string | undefined> {
  const absent = await access(path).then(
    () => false,
    (error: unknown) => error instanceof Error && "code" in error && error.code === "ENOENT",
  );
  if (!absent) return undefined;
  const parent = dirname(path);
  if ((await toBeMade(parent)) === undefined) await access(parent, constants.W_OK | constants.X_OK);
  return "will be made";
}

function searchProbe({ sqlalchemy_index_database: databaseUrl }: Settings, backend: string, folder: string): Probe {
  return {
    name: "search",
    remedy:
      backend === "database"
        ? "Start that database or let this user write the file, or name another in sqlalchemy_index_database."
        : "Correct search_backend: database, or the path of a module.",
    subject: backend === "database" ? databaseUrl.replace(/\/\/[^/]*@/, "//") : backend,
    run: async () => {
      const target = backend === "database" ? parseDatabaseUrl(databaseUrl) : undefined;
      const missing = target?.kind === "sqlite" && target.path !== undefined ? await toBeMade(target.path) : undefined;
      if (missing !== undefined) return missing;
      const { openSearchIndex } = await import("../drivers/search/index.ts");
      const index = await openSearchIndex({ backend, databaseUrl, folder });
      try {
        await index.ping();
      } finally {
        await index.close();
      }
      return "answers";
    },
  };
}

function redisProbe(name: string, server: NonNullable<Settings["cache"]>): Probe {
  return {
    name,
    subject: `${server.host}:${server.port}`,
    remedy: `Start that Redis, or correct ${name}.host and ${name}.port. Until it answers, the registry works without it.`,
    run: async () => {
      const { openRedis } = await import("../drivers/cache/redis.ts");
      const cache = openRedis(server, { onState: () => undefined });
      try {
        await cache.ping();
      } finally {
        await cache.close();
      }
      return "answers";
    },
  };
}

function mailProbe({ smtp_host: host, smtp_port: port }: NonNullable<Settings["email_exceptions"]>): Probe {
  return {
    name: "mail",
    subject: `${host}:${port}`,
    remedy: "Start that mail server, or correct smtp_host and smtp_port in email_exceptions.",
    run: async (signal) => {
      const socket = port === 465 ? connectTls({ host, port, rejectUnauthorized: false }) : connect({ host, port });
      const cut = (): void => void socket.destroy(new Error("it says nothing"));
      signal.addEventListener("abort", cut, { once: true });
      try {
        for await (const greeting of socket) {
          const line = String(greeting).split("\r\n", 1).join("");
          if (!line.startsWith("220")) throw new Error(`it says ${line.slice(0, 200)}`);
          socket.end("QUIT\r\n");
          return "greets";
        }
        throw new Error("it hangs up");
      } finally {
        signal.removeEventListener("abort", cut);
        socket.destroy();
      }
    },
  };
}

function keyProbe(path: string): Probe {
  return {
    name: "privileged_key",
    subject: path,
    remedy: "Name a public key in privileged_key; registryctl keygen makes a pair.",
    run: async () => {
      const key = await readPrivilegedKey(path);
      return `RSA, ${String(key.asymmetricKeyDetails?.modulusLength)} bits`;
    },
  };
}

function accountsProbe(settings: AccountSettings, folder: string): Probe {
  const path = resolve(folder, settings.htpasswd);
  return {
    name: "accounts",
    subject: path,
    remedy:
      "Correct auth.htpasswd and auth.groups, or the lines of those files; registryctl user add makes the first account.",
    run: async () => {
      const { reviewAccounts } = await import("./accounts/review.ts");
      return await reviewAccounts(settings, folder);
    },
  };
}

function tlsProbe(certificate: string, key: string): Probe {
  return {
    name: "tls",
    subject: certificate,
    remedy: "Correct http.tls.certificate and http.tls.key.",
    run: async () => {
      const { validFrom, validTo } = new X509Certificate((await readCertificate({ certificate, key })).cert);
      if (Date.parse(validTo) < Date.now()) throw new Error(`expired on ${validTo}`);
      if (Date.parse(validFrom) > Date.now()) throw new Error(`not valid before ${validFrom}`);
      return `valid until ${validTo}`;
    },
  };
}

function portProbe({ http: { host, port, tls } }: Settings): Probe {
  const socket = /^unix:(?<path>.+)$/.exec(host)?.groups?.["path"];
  return {
    name: "port",
    subject: socket ?? `${host}:${port}`,
    remedy: "Stop what listens there, or choose another place with http.host and http.port.",
    run: async () => {
      if (port === 0 && socket === undefined) return "any that is free";
      try {
        await bind(socket === undefined ? { host, port } : { path: `${socket}.probe` });
        return "free";
      } catch (error) {
        const taken = error instanceof Error && "code" in error && error.code === "EADDRINUSE";
        if (!taken || socket !== undefined || !(await isRegistry(host, port, tls !== undefined))) throw error;
        return "a registry is running there";
      }
    },
  };
}

async function bind(
  where: { readonly host: string; readonly port: number } | { readonly path: string },
): Promise<void> {
  const server = createServer();
  server.listen(where);
  await once(server, "listening");
  server.close();
  await once(server, "close");
}

/** Whether what listens there speaks like a registry; its certificate is looked at by another probe. */
async function isRegistry(host: string, port: number, tls: boolean): Promise<boolean> {
  const near = host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host;
  const request = (tls ? overHttps : overHttp)({ host: near, port, path: "/v1/_ping", rejectUnauthorized: false });
  request.setTimeout(2000, () => request.destroy()).end();
  try {
    const [response] = (await once(request, "response")) as [IncomingMessage];
    return "x-docker-registry-version" in response.headers;
  } catch {
    return false;
  } finally {
    request.destroy();
  }
}
