import { inspect } from "node:util";
import { expect } from "chai";
import { SearchIndexError } from "../../../src/drivers/search/errors.ts";
import { openSearchIndex } from "../../../src/drivers/search/index.ts";
import type { SearchIndex } from "../../../src/drivers/search/search-index.ts";
import { needs } from "../../support/needs.ts";
import { PostgresServer, postgresPrograms } from "../../support/postgres.ts";
import { until } from "../../support/program.ts";

const query = { text: "", page: 1, pageSize: 10 };

describe("a search index whose PostgreSQL", () => {
  let server: PostgresServer;
  const indexes: SearchIndex[] = [];
  beforeEach(async function () {
    needs(this, ...postgresPrograms);
    server = await PostgresServer.start();
  });
  afterEach(async () => {
    for (const index of indexes.splice(0)) await index.close();
    await (server as PostgresServer | undefined)?.destroy();
  });

  const open = async (databaseUrl = server.url()) => {
    const index = await openSearchIndex({ backend: "database", databaseUrl, folder: "/" });
    indexes.push(index);
    return index;
  };

  it("is down at the start opens, rejects, and works once it is up", async () => {
    await server.stop();
    const index = await open();
    await rejects(index, server, /ECONNREFUSED/);
    await server.resume();
    await index.put({ name: "a/b", description: "" });
    expect(await index.search(query)).to.include({ total: 1 });
  });

  it("goes away rejects, and works again when it is back", async () => {
    const index = await open();
    await index.put({ name: "a/b", description: "" });
    await server.stop();
    await rejects(index, server, /ECONNREFUSED|terminat/);
    await server.resume();
    await until("the index to answer", async () => (await index.search(query)).total === 1);
    await index.put({ name: "a/c", description: "" });
    expect(await index.search(query)).to.include({ total: 2 });
  });

  it("goes away in the middle of a fill can be filled when it is back", async () => {
    const index = await open();
    async function* source(count: number, meet: (at: number) => Promise<void>) {
      for (let at = 0; at < count; at++) {
        await meet(at);
        yield { name: `walked/${at}`, description: "" };
      }
    }
    const failure = await index
      .fill(() =>
        source(1000, async (at) => {
          if (at === 500) await server.stop();
        }),
      )
      .catch((error: unknown) => error);
    expect(failure).to.be.instanceOf(SearchIndexError);
    await server.resume();
    // The lease outlives the outage; it ran out while nobody was looking.
    await server.query("registry", "UPDATE registryctl_search_fill SET expires = 0");
    expect(await index.fill(() => source(700, () => Promise.resolve()))).to.equal(700);
    expect(await index.search(query)).to.include({ total: 700 });
  });

  it("refuses the password says so without telling it", async () => {
    const index = await open(server.url().replace(server.password, "wrong-word"));
    const failure = await index.ping().catch((error: unknown) => error);
    expect(failure)
      .to.be.instanceOf(SearchIndexError)
      .with.property("message")
      .that.matches(/authentication failed/);
    expect(inspect(failure, { depth: 10 })).to.not.include("wrong-word");
  });

  it("gives no right to make tables says so, and works once it is given", async () => {
    await server.query("registry", "CREATE ROLE guest LOGIN PASSWORD 'guest-word'");
    const index = await open(server.url().replace(`registry:${server.password}`, "guest:guest-word"));
    const failure = await index.ping().catch((error: unknown) => error);
    expect(failure)
      .to.be.instanceOf(SearchIndexError)
      .with.property("message")
      .that.matches(/permission denied/);
    expect(await server.query("registry", "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")).to.deep.equal(
      [],
    );
    await server.query("registry", "GRANT CREATE ON SCHEMA public TO guest");
    await index.put({ name: "a/b", description: "" });
    expect(await index.search(query)).to.include({ total: 1 });
  });

  it("has no such database says so", async () => {
    const index = await open(server.url("elsewhere"));
    const failure = await index.ping().catch((error: unknown) => error);
    expect(failure)
      .to.be.instanceOf(SearchIndexError)
      .with.property("message")
      .that.matches(/"elsewhere" does not exist/);
  });
});

async function rejects(index: SearchIndex, server: PostgresServer, reason: RegExp): Promise<void> {
  const calls = {
    ping: () => index.ping(),
    search: () => index.search(query),
    put: () => index.put({ name: "x/y", description: "" }),
    delete: () => index.delete("x/y"),
    fill: () =>
      index.fill(() => {
        throw new Error("a fill begins without a database");
      }),
  };
  for (const [name, call] of Object.entries(calls)) {
    const failure: unknown = await call().catch((error: unknown) => error);
    expect(failure, name).to.be.instanceOf(SearchIndexError).with.property("message").that.matches(reason);
    expect(inspect(failure, { depth: 10 }), name).to.not.include(server.password);
    expect(failure, name).to.have.property("message").that.includes(`postgresql://127.0.0.1:${server.port}/registry`);
  }
}
