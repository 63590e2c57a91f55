import { chmod, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Context } from "mocha";
import { Apache, needsApache } from "./apache.ts";
import { passwordFile, selfSigned } from "./certificate.ts";
import { succeeds } from "./cli.ts";
import { needs } from "./needs.ts";
import { Nginx } from "./nginx.ts";
import { bin, freePort, Program, removeFolder, temporaryFolder } from "./program.ts";
import { V1Client } from "./v1-client.ts";

/** Who a client must be. */
export interface Login {
  readonly user: string;
  readonly password: string;
}

/** A registry of its own process as clients see it, with what may be in front of it. */
export interface FrontedRegistry {
  /** `127.0.0.1:<port>`, as it stands in the names of images. */
  readonly address: string;
  /** The PEM file of what clients must trust; undefined over plain HTTP. */
  readonly authority: string | undefined;
  /** Sends requests the way that the clients send theirs. */
  readonly client: V1Client;
  stop(): Promise<void>;
}

/** A way to reach a registry. */
export interface Front {
  readonly name: string;
  /** Who alone is let in. */
  readonly login?: Login;
  readonly needs: (context: Context) => void;
  readonly start: () => Promise<FrontedRegistry>;
}

const login: Login = { user: "alice", password: "wonder" };

/** A registry without anything in front of it. */
export const plainHttp: Front = {
  name: "over plain HTTP",
  needs: () => undefined,
  start: async () => await start(async (place) => await place.registry({})),
};

const ownTls: Front = {
  name: "over TLS",
  needs: (context) => needs(context, "openssl"),
  start: async () =>
    await start(async (place) => {
      const { certificate, key, pem } = await selfSigned(place.folder);
      const port = await place.registry({ http: `tls: { certificate: ${certificate}, key: ${key} }`, pem });
      return { ...port, authority: certificate, pem };
    }),
};

const behindNginx: Front = {
  name: "behind nginx with TLS and a password",
  login,
  needs: (context) => needs(context, "nginx", "openssl"),
  start: async () => await proxied("gen-nginx", "nginx_x_accel_redirect: /internal", (folder) => new Nginx(folder)),
};

const behindApache: Front = {
  name: "behind Apache with TLS and a password",
  login,
  needs: needsApache,
  start: async () => await proxied("gen-apache", "apache_x_sendfile: true", (folder) => new Apache(folder)),
};

/** Every way in which clients reach a registry. */
export const fronts: readonly Front[] = [plainHttp, ownTls, behindNginx, behindApache];

/** Where a front is reached and what it asks for. */
interface Served {
  readonly port: number;
  readonly authority?: string;
  readonly pem?: string;
  readonly login?: Login;
}

async function start(serve: (place: Place) => Promise<Served>): Promise<FrontedRegistry> {
  const place = new Place(await temporaryFolder());
  // A proxy started by root reads passwords and blobs as somebody else.
  await chmod(place.folder, 0o755);
  try {
    const served = await serve(place);
    return {
      address: `127.0.0.1:${served.port}`,
      authority: served.authority,
      client: clientOf(served),
      stop: async () => {
        await place.clear();
      },
    };
  } catch (error) {
    await place.clear();
    throw error;
  }
}

async function proxied(
  generator: "gen-nginx" | "gen-apache",
  offload: string,
  proxy: (folder: string) => Nginx | Apache,
): Promise<FrontedRegistry> {
  return await start(async (place) => {
    const { certificate, key, pem } = await selfSigned(place.folder);
    const passwords = await passwordFile(place.folder, login.user, login.password);
    await place.registry({ options: offload, http: "trusted_proxies: [127.0.0.1]" });
    const port = await freePort();
    const configuration = await succeeds([
      ...[generator, "-c", place.configFile, "--listen", "127.0.0.1", "-p", String(port), "--redirect-port", "0"],
      ...["--tls-certificate", certificate, "--tls-key", key, "-a", passwords],
    ]);
    const served = { port, authority: certificate, pem, login };
    const ready = async () => await answers(served);
    place.programs.push(await proxy(join(place.folder, "proxy")).start(configuration, ready));
    return served;
  });
}

/** The folder and the programs of one front. */
class Place {
  readonly folder: string;
  readonly programs: Program[] = [];

  constructor(folder: string) {
    this.folder = folder;
  }

  get configFile(): string {
    return join(this.folder, "config.yml");
  }

  /** Starts the registry, on local storage and with a search index; `options` and `http` are more of both, as YAML. */
  async registry(more: { readonly options?: string; readonly http?: string; readonly pem?: string }): Promise<Served> {
    const port = await freePort();
    const flavor = [
      "storage: local",
      `storage_path: ${join(this.folder, "store")}`,
      "search_backend: database",
      `sqlalchemy_index_database: sqlite:///${join(this.folder, "search.db")}`,
      `http: { port: ${port}, ${more.http ?? ""} }`,
      more.options ?? "",
    ];
    await writeFile(this.configFile, `dev: { ${flavor.join(", ")} }\n`);
    const program = new Program(process.execPath, [bin, "serve", "--config", this.configFile]);
    this.programs.push(program);
    await program.ready("the registry", async () => await answers({ port, ...more }));
    return { port };
  }

  async clear(): Promise<void> {
    for (const program of this.programs.reverse()) await program.stop();
    await removeFolder(this.folder);
  }
}

function clientOf({ port, pem, login }: Served): V1Client {
  return new V1Client(`${pem === undefined ? "http" : "https"}://127.0.0.1:${port}`, {
    userAgent: "tests",
    ...(pem !== undefined && { ca: pem }),
    ...(login && { basic: `${login.user}:${login.password}` }),
  });
}

async function answers(served: Served): Promise<boolean> {
  return (await clientOf(served).send("GET", "/v2/")).status === 200;
}
