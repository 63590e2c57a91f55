import { expect } from "chai";
import { copyStore } from "../../../src/server/maintenance/copy.ts";
import { settingsOf } from "../../../src/server/config/schema.ts";
import { openLocal } from "../../../src/drivers/storage/local.ts";
import { parseOciName, parseOciTag } from "../../../src/server/registry/oci-names.ts";
import { ociManifest } from "../../../src/server/registry/manifest.ts";
import { endOfSuite } from "../../support/end-of-suite.ts";
import { removeFolder, temporaryFolder, until } from "../../support/program.ts";
import { RadosGateway } from "../../support/radosgw.ts";
import { registryCores } from "../../support/registry-cores.ts";
import { s3Settings } from "../../support/s3-server.ts";
import { rejection, repeated } from "../../support/storage-content.ts";
import { TcpProxy } from "../../support/tcp-proxy.ts";

describe("a copy that is stopped", function () {
  this.timeout(180_000);
  const atEnd = endOfSuite();
  const over = registryCores();

  it("ends although its target has stopped answering, and cuts all connections", async function () {
    const gateway = await RadosGateway.start(this);
    atEnd(() => gateway.stop());
    const proxy = await TcpProxy.start(gateway.port);
    atEnd(() => proxy.stop());
    const folder = await temporaryFolder("copy-stopped");
    atEnd(() => removeFolder(folder));
    await fill(folder);
    const to = { ...s3Settings(gateway, await gateway.newBucket()), boto_port: proxy.port };
    const stopping = new AbortController();
    const copying = copyStore(settingsOf({ storage: "local", storage_path: folder }), settingsOf(to), {
      ...{ repositories: undefined, jobs: 4, dryRun: false, keepTags: false, verify: false },
      ...{ folder, signal: stopping.signal, grace: 10 },
      ...{ warn: () => undefined, onProblem: () => undefined, onStep: () => undefined },
    });
    const end = rejection(copying);
    await until("a part is on its way", () => proxy.requests.some((line) => line.includes("partNumber=")));
    proxy.mode = "silent";
    stopping.abort(new Error("stopped by a signal"));
    expect(String(await end)).to.contain("stopped by a signal");
    await until("all connections are closed", () => proxy.connections === 0);
  });

  /** An image whose layer is sent in parts. */
  async function fill(folder: string): Promise<void> {
    const driver = await openLocal(folder);
    const { blobs, linkedBlobs, manifests } = over(driver);
    const name = parseOciName("team/app");
    const blob = async (content: AsyncIterable<Uint8Array>) => {
      const { digest, size } = await blobs.put(content);
      await linkedBlobs.link(name, digest);
      return { digest, size, mediaType: "application/octet-stream" };
    };
    const layer = await blob(repeated(Buffer.alloc(65_536, "layer"), 64 * 1_048_576));
    const config = await blob(repeated(Buffer.from("{}"), 2));
    const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: ociManifest, config, layers: [layer] }));
    await manifests.put(name, { bytes, contentType: undefined, digest: undefined, tags: [parseOciTag("v1")] });
    await driver.close();
  }
});
