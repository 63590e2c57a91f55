import { resolve } from "node:path";
import { expect } from "chai";
import { parseDatabaseUrl } from "../../../src/drivers/search/database-url.ts";
import { SearchIndexError } from "../../../src/drivers/search/errors.ts";

const plain = { kind: "postgres", port: 5432, tls: { mode: "disable" } };

const accepted: [string, object][] = [
  ["sqlite://", { kind: "sqlite", label: "sqlite://" }],
  ["sqlite:///", { kind: "sqlite", label: "sqlite://" }],
  ["sqlite:///:memory:", { kind: "sqlite", label: "sqlite://" }],
  ["sqlite:///a/b.db", { kind: "sqlite", path: resolve("a/b.db"), label: `sqlite:///${resolve("a/b.db")}` }],
  ["sqlite:////a/b.db", { kind: "sqlite", path: "/a/b.db", label: "sqlite:////a/b.db" }],
  [
    "sqlite+pysqlite:////a/b%20c@d.db?timeout=5",
    { kind: "sqlite", path: "/a/b%20c@d.db", label: "sqlite:////a/b%20c@d.db" },
  ],
  [
    "postgresql://me:secret@db.example.com:5433/registry",
    {
      ...plain,
      label: "postgresql://db.example.com:5433/registry",
      host: "db.example.com",
      port: 5433,
      user: "me",
      password: "secret",
      database: "registry",
    },
  ],
  ["postgres://db", { ...plain, label: "postgresql://db:5432", host: "db" }],
  ["postgresql+psycopg2://db/x", { ...plain, label: "postgresql://db:5432/x", host: "db", database: "x" }],
  ["postgresql:///x", { ...plain, label: "postgresql://localhost:5432/x", host: "localhost", database: "x" }],
  ["postgresql://me@db/", { ...plain, label: "postgresql://db:5432", host: "db", user: "me" }],
  ["postgresql://[::1]:99/x", { ...plain, label: "postgresql://[::1]:99/x", host: "::1", port: 99, database: "x" }],
  [
    "postgresql://m%40e:p@s/s:w#%2F%zz?rd@db/x",
    { ...plain, label: "postgresql://db:5432/x", host: "db", user: "m@e", password: "p@s/s:w#/%zz?rd", database: "x" },
  ],
  [
    "postgresql:///x?host=/run/postgresql",
    { ...plain, label: "postgresql:///run/postgresql:5432/x", host: "/run/postgresql", database: "x" },
  ],
  [
    "postgresql://db/x?sslmode=verify-full&sslrootcert=/etc/ca.pem",
    {
      ...plain,
      label: "postgresql://db:5432/x",
      host: "db",
      database: "x",
      tls: { mode: "verify-full", rootCertificate: "/etc/ca.pem" },
    },
  ],
];

const refused: [string, RegExp][] = [
  ["", /no scheme.*sqlite:\/\/\/relative.db/],
  ["/tmp/index.db", /no scheme/],
  ["mysql://me:hunter2@db/x", /kind "mysql" is not supported: use sqlite.*postgresql/],
  ["mysql+pymysql://me:hunter2@db/x", /"mysql"/],
  ["sqlite://relative.db", /three slashes/],
  ["postgresql://me:hunter2@db:0/x", /port/],
  ["postgresql://me:hunter2@db:99999/x", /port/],
  ["postgresql://me:hunter2@db:port/x", /cannot be read/],
  ["postgresql://me:hunter2@db/x?sslmode=prefer", /sslmode/],
  ["postgresql://me:hunter2@db/x?charset=utf8", /"charset"/],
];

describe("the URL of a search database", () => {
  for (const [url, target] of accepted) {
    it(`${url} is read`, () => {
      expect(parseDatabaseUrl(url)).to.deep.equal(target);
    });
  }

  for (const [url, message] of refused) {
    it(`${url || "of nothing"} is refused without telling its password`, () => {
      expect(() => parseDatabaseUrl(url))
        .to.throw(SearchIndexError, message)
        .with.property("message")
        .that.does.not.include("hunter2");
    });
  }
});
