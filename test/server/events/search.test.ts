import { join } from "node:path";
import { expect } from "chai";
import { indexType, pushManifest } from "../../support/oci-image.ts";
import { removeFolder, temporaryFolder, until } from "../../support/program.ts";
import { startRegistry } from "../../support/registry-server.ts";

describe("the search index of a registry", () => {
  let folder: string;
  beforeEach(async () => {
    folder = await temporaryFolder();
  });
  afterEach(async () => {
    await removeFolder(folder);
  });
  const start = async (database: string) =>
    await startRegistry({
      storage: "local",
      storage_path: join(folder, "store"),
      search_backend: "database",
      sqlalchemy_index_database: `sqlite:///${join(folder, database)}`,
    });
  const found = async (server: Awaited<ReturnType<typeof start>>, text: string) => {
    const { body } = await server.client.expect([200], "GET", `/v1/search?q=${text}`);
    return (JSON.parse(body.toString()) as { results: { name: string }[] }).results.map(({ name }) => name);
  };

  it("follows pushes and deletes, and a new one is filled with what both protocols have", async () => {
    const first = await start("first.db");
    try {
      await first.client.expect([200], "PUT", "/v1/repositories/team/old/", { body: Buffer.from("[]") });
      await first.client.expect([200], "PUT", "/v1/repositories/team/gone/", { body: Buffer.from("[]") });
      await pushManifest(first.client, "team/new", "a", { schemaVersion: 2, manifests: [] }, indexType);
      expect(await found(first, "team")).to.deep.equal(["team/gone", "team/new", "team/old"]);
      await first.client.expect([200], "DELETE", "/v1/repositories/team/gone/");
      expect(await found(first, "team")).to.deep.equal(["team/new", "team/old"]);
    } finally {
      await first.close();
    }
    const second = await start("second.db");
    try {
      await until("the fill", async () => (await found(second, "team")).length === 2);
      expect(await found(second, "team")).to.deep.equal(["team/new", "team/old"]);
    } finally {
      await second.close();
    }
  });
});
