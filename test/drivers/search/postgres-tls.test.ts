import { expect } from "chai";
import { SearchIndexError } from "../../../src/drivers/search/errors.ts";
import { openSearchIndex } from "../../../src/drivers/search/index.ts";
import { needs } from "../../support/needs.ts";
import { PostgresServer, postgresPrograms } from "../../support/postgres.ts";

describe("a search index in a PostgreSQL with TLS", () => {
  let server: PostgresServer;
  before(async function () {
    needs(this, ...postgresPrograms, "openssl");
    server = await PostgresServer.start({ tls: true });
  });
  after(async () => {
    await (server as PostgresServer | undefined)?.destroy();
  });

  /** Whether the connection is encrypted, or why there is none. */
  const encrypted = async (parameters: string, host = "127.0.0.1"): Promise<boolean | string> => {
    const databaseUrl = `${server.url()}?${parameters}`.replace("127.0.0.1", host);
    const index = await openSearchIndex({ backend: "database", databaseUrl, folder: "/" });
    try {
      await index.ping();
      const [row] = await server.query(
        "postgres",
        "SELECT bool_and(ssl) AS ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'registryctl'",
      );
      return row?.["ssl"] === true;
    } catch (error) {
      if (error instanceof SearchIndexError) return error.message;
      throw error;
    } finally {
      await index.close();
    }
  };

  it("uses none unless told", async () => {
    expect(await encrypted("")).to.equal(false);
    expect(await encrypted("sslmode=disable")).to.equal(false);
  });

  it("takes any certificate with require", async () => {
    expect(await encrypted("sslmode=require")).to.equal(true);
    expect(await encrypted("sslmode=require", "localhost")).to.equal(true);
  });

  it("checks who signed the certificate with verify-ca", async () => {
    expect(await encrypted("sslmode=verify-ca")).to.match(/certificate/);
    expect(await encrypted(`sslmode=verify-ca&sslrootcert=${server.authority}`)).to.equal(true);
    expect(await encrypted(`sslmode=verify-ca&sslrootcert=${server.authority}`, "localhost")).to.equal(true);
  });

  it("checks the host too with verify-full", async () => {
    expect(await encrypted("sslmode=verify-full")).to.match(/certificate/);
    expect(await encrypted(`sslmode=verify-full&sslrootcert=${server.authority}`)).to.equal(true);
    expect(await encrypted(`sslmode=verify-full&sslrootcert=${server.authority}`, "localhost")).to.match(/altnames/);
  });

  it("says which file of certificates is missing", async () => {
    expect(await encrypted("sslmode=verify-full&sslrootcert=/no/such.pem")).to.match(/no such file.*\/no\/such\.pem/);
  });
});
