import { execFile } from "node:child_process";
import { appendFile, chmod, chown, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { Client } from "pg";
import { accountOf } from "./account.ts";
import { makeCertificates } from "./certificates.ts";
import { findProgram } from "./needs.ts";
import { freePort, Program, removeFolder, temporaryFolder } from "./program.ts";

const run = promisify(execFile);

/** What `needs` has to be asked for before a `PostgresServer` is started. */
export const postgresPrograms = ["postgres", "initdb"] as const;

/** A PostgreSQL server of the test's own, with its data in a temporary folder. User `registry`, database `registry`. */
export class PostgresServer {
  readonly port: number;
  readonly password = "pass-word-of-postgres";
  readonly #folder: string;
  readonly #account: { uid: number; gid: number } | undefined;
  #program: Program | undefined;

  private constructor(folder: string, port: number, account: { uid: number; gid: number } | undefined) {
    this.#folder = folder;
    this.port = port;
    this.#account = account;
  }

  /** Makes the data folder and starts the server; it offers TLS where that is asked for, which needs openssl too. */
  static async start({ tls = false } = {}): Promise<PostgresServer> {
    const folder = await temporaryFolder("registryctl-postgres");
    const server = new PostgresServer(folder, await freePort(), await postgresAccount());
    try {
      await server.#initialise(tls);
      await server.resume();
      await server.query("postgres", "CREATE DATABASE registry");
      return server;
    } catch (error) {
      await server.destroy();
      throw error;
    }
  }

  /** PEM: who signed the server's certificate, which is for the address 127.0.0.1. */
  get authority(): string {
    return join(this.#folder, "authority.pem");
  }

  url(database = "registry"): string {
    return `postgresql://registry:${this.password}@127.0.0.1:${this.port}/${database}`;
  }

  /** Starts the stopped server again, with the data that it had. */
  async resume(): Promise<void> {
    this.#program = new Program(findProgram("postgres") ?? "postgres", ["-D", this.#data], {
      cwd: this.#folder,
      ...this.#account,
    });
    await this.#program.ready("PostgreSQL", async () => {
      await this.query("postgres", "SELECT 1");
      return true;
    });
  }

  /** A fast shutdown: connections are cut, data is kept. */
  async stop(): Promise<void> {
    await this.#program?.stop("SIGINT");
  }

  /** Stops the server and removes its data. */
  async destroy(): Promise<void> {
    await this.stop();
    await removeFolder(this.#folder);
  }

  async query(database: string, sql: string): Promise<Record<string, unknown>[]> {
    const client = new Client({ connectionString: this.url(database) });
    client.on("error", () => undefined);
    await client.connect();
    try {
      return (await client.query<Record<string, unknown>>(sql)).rows;
    } finally {
      await client.end();
    }
  }

  get #data(): string {
    return join(this.#folder, "data");
  }

  async #initialise(tls: boolean): Promise<void> {
    // The account of the server has to get through the folder, which is made for its owner alone.
    await chmod(this.#folder, 0o755);
    if (this.#account) await chown(this.#folder, this.#account.uid, this.#account.gid);
    const passwordFile = join(this.#folder, "password");
    await writeFile(passwordFile, this.password, { mode: 0o644 });
    await run(
      findProgram("initdb") ?? "initdb",
      `-D ${this.#data} -U registry --pwfile=${passwordFile} -A scram-sha-256 -E UTF8 --locale=C.UTF-8 --no-sync`.split(
        " ",
      ),
      { cwd: this.#folder, ...this.#account },
    );
    const lines = [
      "listen_addresses = '127.0.0.1'",
      `port = ${this.port}`,
      "unix_socket_directories = ''",
      "fsync = off",
      "synchronous_commit = off",
      "full_page_writes = off",
      "max_connections = 40",
      "shared_buffers = 32MB",
      ...(tls ? await this.#tlsSettings() : []),
    ];
    await appendFile(join(this.#data, "postgresql.conf"), `${lines.join("\n")}\n`);
  }

  async #tlsSettings(): Promise<string[]> {
    await makeCertificates(this.#folder);
    const key = join(this.#folder, "server.key");
    if (this.#account) await chown(key, this.#account.uid, this.#account.gid);
    await chmod(key, 0o600);
    return ["ssl = on", `ssl_key_file = '${key}'`, `ssl_cert_file = '${join(this.#folder, "server.pem")}'`];
  }
}

/** PostgreSQL refuses to run as root: then it runs as the user that Debian's package made. */
async function postgresAccount(): Promise<{ uid: number; gid: number } | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  return await accountOf("postgres");
}
