import { readFile } from "node:fs/promises";
import type { DataSourceOptions } from "typeorm";
import type { PostgresTarget, Tls } from "./database-url.ts";

/** Connections a process may hold: all the index ever asks for at once is short. */
const poolSize = 5;

/** Options for PostgreSQL: a bounded pool, and a bound on how long connecting and each answer may take. */
export async function postgresOptions(target: PostgresTarget): Promise<DataSourceOptions> {
  return {
    type: "postgres",
    host: target.host,
    port: target.port,
    ...(target.user !== undefined && { username: target.user }),
    ...(target.password !== undefined && { password: target.password }),
    ...(target.database !== undefined && { database: target.database }),
    ssl: await tlsOptions(target.tls),
    applicationName: "registryctl",
    connectTimeoutMS: 5_000,
    poolSize,
    extra: { query_timeout: 15_000, keepAlive: true, maxLifetimeSeconds: 600 },
    // An idle connection that breaks is replaced by the next query, which tells if it can't be.
    poolErrorHandler: () => undefined,
  };
}

async function tlsOptions(tls: Tls) {
  if (tls.mode === "disable") return false;
  const ca = tls.rootCertificate === undefined ? {} : { ca: await readFile(tls.rootCertificate, "utf8") };
  switch (tls.mode) {
    case "require":
      return { ...ca, rejectUnauthorized: false };
    case "verify-ca":
      return { ...ca, rejectUnauthorized: true, checkServerIdentity: () => undefined };
    case "verify-full":
      return { ...ca, rejectUnauthorized: true };
  }
}
