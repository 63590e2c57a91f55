import { expect } from "chai";
import { openLocal } from "../../../src/drivers/storage/local.ts";
import { removeFolder, temporaryFolder } from "../../support/program.ts";
import { startRegistry } from "../../support/registry-server.ts";

async function* once(text: string): AsyncGenerator<Uint8Array> {
  await Promise.resolve();
  yield Buffer.from(text);
}

describe("a disk that is nearly full", () => {
  let folder: string;
  beforeEach(async () => {
    folder = await temporaryFolder();
  });
  afterEach(async () => {
    await removeFolder(folder);
  });

  it("takes no more, while reads and deletes go on", async () => {
    const before = await openLocal(folder);
    await before.write("a/b", once("kept"));
    const full = await openLocal(folder, 2 ** 52);
    const error = await full.write("a/c", once("refused")).catch((reason: unknown) => reason);
    expect(error).to.include({ name: "DriverError", code: "NO_SPACE" });
    expect((error as Error).message).to.contain("min_free");
    expect((await full.stat("a/b")).size).to.equal(4);
    await full.delete("a/b");
  });

  it("is told to clients with 507, and serves them what it has", async () => {
    const server = await startRegistry({ storage: "local", storage_path: folder, min_free: 2 ** 52 });
    try {
      const answer = await server.client.send("PUT", "/v1/repositories/a/b/", { body: Buffer.from("[]") });
      expect(answer.status).to.equal(507);
      expect(answer.body.toString()).to.contain("space");
      const upload = await server.client.send("POST", "/v2/a/b/blobs/uploads/", { body: Buffer.alloc(0) });
      expect([202, 507]).to.include(upload.status);
      expect((await server.client.send("GET", "/v2/_catalog")).status).to.equal(200);
    } finally {
      await server.close();
    }
  });
});
