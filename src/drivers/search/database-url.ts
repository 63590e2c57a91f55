import { resolve } from "node:path";
import { SearchIndexError } from "./errors.ts";

/** Where a database is, as its URL says. `label` is safe to show: the URL without user, password and parameters. */
export type DatabaseTarget = SqliteTarget | PostgresTarget;

export interface SqliteTarget {
  readonly kind: "sqlite";
  /** Absolute, or absent for a database in memory. */
  readonly path?: string;
  readonly label: string;
}

export interface PostgresTarget {
  readonly kind: "postgres";
  readonly label: string;
  /** A host name, an address, or the folder of a Unix socket. */
  readonly host: string;
  readonly port: number;
  readonly user?: string;
  readonly password?: string;
  readonly database?: string;
  readonly tls: Tls;
}

/** `sslmode` as libpq means it: `require` encrypts without looking at the certificate, `verify-ca` looks at its issuer only. */
export interface Tls {
  readonly mode: "disable" | "require" | "verify-ca" | "verify-full";
  readonly rootCertificate?: string;
}

const supported =
  "use sqlite:///relative.db, sqlite:////absolute.db, sqlite:// (in memory) or postgresql://user:password@host:port/database";

/**
 * Reads the URLs that SQLAlchemy reads, so that old configurations go on working: `postgresql+psycopg2://` is
 * `postgresql://`, and a password may hold unquoted signs. Throws a SearchIndexError that does not repeat the URL.
 */
export function parseDatabaseUrl(url: string): DatabaseTarget {
  const match = /^([a-z0-9]+)(?:\+\w+)?:\/\/(.*)$/is.exec(url.trim());
  if (!match) throw new SearchIndexError(`The URL of the search database has no scheme: ${supported}`);
  const [, scheme = "", rest = ""] = match;
  switch (scheme.toLowerCase()) {
    case "sqlite":
      return sqlite(rest);
    case "postgres":
    case "postgresql":
      return postgres(rest);
    default:
      throw new SearchIndexError(`A search database of the kind "${scheme}" is not supported: ${supported}`);
  }
}

function sqlite(rest: string): SqliteTarget {
  const file = rest.replace(/\?.*$/s, "");
  if (file === "" || file === "/" || file === "/:memory:") return { kind: "sqlite", label: "sqlite://" };
  if (!file.startsWith("/")) {
    throw new SearchIndexError(
      "An SQLite URL has three slashes before a relative path and four before an absolute one",
    );
  }
  const path = resolve(file.slice(1));
  return { kind: "sqlite", path, label: `sqlite:///${path}` };
}

function postgres(rest: string): PostgresTarget {
  // The last @ before the host ends the password, whatever signs it is made of.
  const match = /^(?:([^:@/]*)(?::(.*))?@)?(\[[^\]]*\]|[^:/?@[\]]*)(?::(\d*))?(?:\/([^?]*))?(?:\?(.*))?$/s.exec(rest);
  if (!match) throw new SearchIndexError(`The URL of the search database cannot be read: ${supported}`);
  const [, user, password, bracketed = "", portText = "", name = "", query = ""] = match;
  const { host: hostParameter, tls } = parameters(new URLSearchParams(query));
  const shownHost = bracketed || hostParameter || "localhost";
  const port = portText === "" ? 5432 : Number(portText);
  if (port < 1 || port > 65535)
    throw new SearchIndexError("The port of the search database is not between 1 and 65535");
  return {
    kind: "postgres",
    label: `postgresql://${shownHost}:${port}${name === "" ? "" : `/${decoded(name)}`}`,
    host: shownHost.replace(/^\[(.*)\]$/s, "$1"),
    port,
    ...(user && { user: decoded(user) }),
    ...(password && { password: decoded(password) }),
    ...(name && { database: decoded(name) }),
    tls,
  };
}

function parameters(query: URLSearchParams): { host: string; tls: Tls } {
  let host = "";
  let mode: Tls["mode"] = "disable";
  let rootCertificate = "";
  for (const [name, value] of query) {
    if (name === "host") host = value;
    else if (name === "sslmode") mode = parseMode(value);
    else if (name === "sslrootcert") rootCertificate = resolve(value);
    else {
      throw new SearchIndexError(
        `The URL of the search database has the parameter "${name}": only host, sslmode and sslrootcert are known`,
      );
    }
  }
  return { host, tls: { mode, ...(rootCertificate && { rootCertificate }) } };
}

function parseMode(value: string): Tls["mode"] {
  switch (value) {
    case "disable":
    case "require":
    case "verify-ca":
    case "verify-full":
      return value;
    default:
      throw new SearchIndexError(
        "The sslmode of the search database is none of disable, require, verify-ca and verify-full",
      );
  }
}

/** Percent signs that encode nothing stand for themselves, as they do for SQLAlchemy. */
function decoded(text: string): string {
  return text.replace(/(?:%[0-9a-f]{2})+/gi, (encoded) => {
    try {
      return decodeURIComponent(encoded);
    } catch {
      return encoded;
    }
  });
}
