import { createPublicKey, randomUUID, X509Certificate } from "node:crypto";
import { once } from "node:events";
import { constants } from "node:fs";
import { access, open, readFile, rm } from "node:fs/promises";
import { request as overHttp, type IncomingMessage } from "node:http";
import { request as overHttps } from "node:https";
import { createServer, connect } from "node:net";
import { dirname, join, resolve } from "node:path";
import { createSecureContext, connect as connectTls } from "node:tls";
import { parseDatabaseUrl } from "../drivers/search/database-url.ts";
import { findStorage } from "../drivers/storage/index.ts";
import type { Loaded } from "./config/flavors.ts";
import type { Settings } from "./config/schema.ts";
import { probeKey } from "./registry/paths.ts";

/** Something outside the configuration that has to be as the configuration says. */
export interface Probe {
  readonly name: string;
  /** What is looked at, without secrets. */
  readonly subject: string;
  /** Answers what was seen; rejects with what is in the way. Leaves things as they were. */
  run(signal: AbortSignal): Promise<string>;
}

/** What a flavor needs to be served, in the order in which the server would miss it. */
export function probesOf({ settings, file }: Loaded): readonly Probe[] {
  const folder = dirname(file);
  const {
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
    storageProbe(settings),
    ...(backend === undefined ? [] : [searchProbe(settings, backend, folder)]),
    ...(cache ? [redisProbe("cache", cache)] : []),
    ...(lru ? [redisProbe("cache_lru", lru)] : []),
    ...(mail ? [mailProbe(mail)] : []),
    portProbe(settings),
  ];
}

function storageProbe(settings: Settings): Probe {
  if (settings.storage === "local") return folderProbe(settings.storage_path);
  return {
    name: "storage",
    subject: settings.storage,
    run: async () => {
      const driver = await findStorage(settings.storage)?.open(settings);
      if (!driver) throw new Error(`this version has no storage ${settings.storage}`);
      const key = probeKey(randomUUID());
      const content = Buffer.from(key);
      try {
        await driver.write(key, oneChunk(content), content.length);
        const chunks: Uint8Array[] = [];
        for await (const chunk of (await driver.read(key)) as AsyncIterable<Uint8Array>) chunks.push(chunk);
        if (!Buffer.concat(chunks).equals(content)) throw new Error("it does not give back what was written");
      } finally {
        await driver.delete(key).finally(async () => {
          await driver.close();
        });
      }
      return "an object was written, read and deleted";
    },
  };
}

/**
 * Not through the driver, which would make its folders: they would belong to whoever runs the probe, and the server
 * may be somebody else.
 */
function folderProbe(folder: string): Probe {
  return {
    name: "storage",
    subject: folder,
    run: async () => {
      const missing = await toBeMade(folder);
      if (missing !== undefined) return missing;
      const file = join(folder, `.probe-${randomUUID()}`);
      const handle = await open(file, "wx");
      try {
        await handle.writeFile("probe");
        await handle.sync();
      } finally {
        await handle.close();
        await rm(file);
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

async function* oneChunk(content: Uint8Array): AsyncGenerator<Uint8Array> {
  yield await Promise.resolve(content);
}

function searchProbe({ sqlalchemy_index_database: databaseUrl }: Settings, backend: string, folder: string): Probe {
  return {
    name: "search",
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
    run: async () => {
      const key = createPublicKey(await readFile(path));
      if (key.asymmetricKeyType !== "rsa")
        throw new Error(`a key of type ${String(key.asymmetricKeyType)}; RSA is needed`);
      return `RSA, ${String(key.asymmetricKeyDetails?.modulusLength)} bits`;
    },
  };
}

function tlsProbe(certificate: string, key: string): Probe {
  return {
    name: "tls",
    subject: certificate,
    run: async () => {
      const [cert, keyText] = await Promise.all([readFile(certificate), readFile(key)]);
      // Says that key and certificate do not match, or that one of them is none.
      createSecureContext({ cert, key: keyText });
      const { validFrom, validTo } = new X509Certificate(cert);
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
