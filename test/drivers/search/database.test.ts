import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { openSearchIndex } from "../../../src/drivers/search/index.ts";
import { needs } from "../../support/needs.ts";
import { PostgresServer, postgresPrograms } from "../../support/postgres.ts";
import { removeFolder, temporaryFolder } from "../../support/program.ts";
import { describeSearchIndex, type SearchSubject } from "../../support/search-conformance.ts";

async function open(databaseUrl: string) {
  return await openSearchIndex({ backend: "database", databaseUrl, folder: "/" });
}

async function opened(databaseUrl: string, clean: () => Promise<void>): Promise<SearchSubject> {
  const [index, second] = [await open(databaseUrl), await open(databaseUrl)];
  return {
    index,
    second,
    remove: async () => {
      await index.close();
      await second.close();
      await clean();
    },
  };
}

describeSearchIndex("in an SQLite file", async () => {
  const folder = await temporaryFolder();
  return await opened(`sqlite:///${join(folder, "new", "folder", "index.db")}`, () => removeFolder(folder));
});

describeSearchIndex("in SQLite's memory", async () => {
  const index = await open("sqlite://");
  return { index, second: index, remove: () => index.close() };
});

describe("with PostgreSQL", () => {
  let server: PostgresServer;
  before(async function () {
    needs(this, ...postgresPrograms);
    server = await PostgresServer.start();
  });
  after(async () => {
    await (server as PostgresServer | undefined)?.destroy();
  });

  describeSearchIndex("in PostgreSQL", async () => {
    const database = `d${randomUUID().replaceAll("-", "")}`;
    await server.query("postgres", `CREATE DATABASE ${database}`);
    return await opened(server.url(database), () => Promise.resolve());
  });
});
