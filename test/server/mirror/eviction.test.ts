import { stat } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { expect } from "chai";
import { openLocal } from "../../../src/drivers/storage/local.ts";
import { createLog } from "../../../src/server/log.ts";
import { evict, type EvictionLimits } from "../../../src/server/mirror/eviction.ts";
import { unmetered } from "../../../src/server/mirror/meter.ts";
import { MirrorRecords } from "../../../src/server/mirror/records.ts";
import { parseDigest } from "../../../src/server/registry/digest.ts";
import { Documents } from "../../../src/server/registry/documents.ts";
import { KeyedLock } from "../../../src/server/registry/keyed-lock.ts";
import { parseOciName } from "../../../src/server/registry/oci-names.ts";
import { layerLinkKey } from "../../../src/server/registry/paths.ts";
import { FaultyUpstream } from "../../support/faulty-upstream.ts";
import { digestOf, imageManifest, imageType, pushBlob, pushManifest } from "../../support/oci-image.ts";
import { removeFolder, temporaryFolder, until } from "../../support/program.ts";
import { registryCores } from "../../support/registry-cores.ts";
import { startRegistry, type RegistryServer } from "../../support/registry-server.ts";
import { imageOf, tarOf } from "../../support/v1-images.ts";

const day = 86_400_000;

describe("eviction from a mirror", () => {
  const coreOf = registryCores();
  let source: RegistryServer;
  let upstream: FaultyUpstream;
  let mirror: RegistryServer;
  let folder: string;

  beforeEach(async () => {
    folder = await temporaryFolder("evicted");
    source = await startRegistry();
    upstream = await FaultyUpstream.start(source.url);
    mirror = await startRegistry({
      storage: "local",
      storage_path: folder,
      mirroring: { source: upstream.url, tags_cache_ttl: 0 },
    });
  });

  afterEach(async () => {
    await mirror.close();
    await upstream.stop();
    await source.close();
    await removeFolder(folder);
  });

  /** Evicts as a server would after so many days. */
  async function evictAfter(days: number, limits: EvictionLimits): Promise<number> {
    const driver = await openLocal(folder);
    const records = new MirrorRecords(driver, new KeyedLock());
    const { manifests } = coreOf(driver);
    const log = createLog({ level: "info", destination: { write: () => undefined } });
    const now = () => Date.now() + days * day;
    try {
      return await evict({
        driver,
        documents: new Documents(driver),
        manifests,
        records,
        limits,
        log,
        meter: unmetered,
        now,
      });
    } finally {
      await driver.close();
    }
  }

  /** Pulls an image, which has a layer and a configuration, through the mirror; answers the paths of its blobs. */
  async function pulled(name: string, seed: string): Promise<readonly string[]> {
    const manifest = await imageManifest(source.client, name, seed);
    await pushManifest(source.client, name, "v1", manifest);
    return await pull(name);
  }

  async function pull(name: string): Promise<readonly string[]> {
    const { body } = await mirror.client.expect([200], "GET", `/v2/${name}/manifests/v1`);
    const { config, layers } = JSON.parse(body.toString()) as { config: { digest: string }; layers: { digest: string }[] }; // prettier-ignore
    const paths = [config, ...layers].map(({ digest }) => `/v2/${name}/blobs/${digest}`);
    for (const path of paths) {
      await mirror.client.expect([200], "GET", path);
      await keptAndLinked(path);
    }
    return paths;
  }

  /** Waits for the last thing that is written of a blob that came. */
  async function keptAndLinked(path: string): Promise<void> {
    const [, , owner = "", app = "", , digest = ""] = path.split("/");
    const link = layerLinkKey(parseOciName(`${owner}/${app}`), parseDigest(digest));
    await until("the blob to be kept", async () => await stat(join(folder, link)));
  }

  async function isKept(path: string): Promise<boolean> {
    upstream.calm();
    const { status } = await mirror.client.send("HEAD", path);
    return status === 200 && upstream.requests.length === 0;
  }

  it("removes what nobody has asked for, and fetches it again when somebody does", async () => {
    const paths = await pulled("foo/old", "old");
    expect(await evictAfter(9, { maxAge: 10 * day })).to.equal(0);
    expect(await evictAfter(11, { maxAge: 10 * day })).to.equal(3);
    for (const path of paths) expect(await isKept(path)).to.equal(false);
    await pull("foo/old");
  });

  it("removes as much as is too much, and nothing that may be in use", async () => {
    for (const name of ["foo/one", "foo/two"]) await pulled(name, name);
    expect(await evictAfter(0, { maxSize: 1 })).to.equal(0);
    expect(await evictAfter(1, { maxSize: 10_000_000 })).to.equal(0);
    expect(await evictAfter(1, { maxSize: 1 })).to.equal(6);
  });

  it("leaves what was pushed here, and what that needs", async () => {
    const [config = "", layer = ""] = await pulled("foo/base", "base");
    const descriptor = (path: string, mediaType: string) => ({ mediaType, digest: path.split("/").at(-1), size: 1 });
    const manifest = {
      schemaVersion: 2,
      mediaType: imageType,
      config: descriptor(config, "application/vnd.oci.image.config.v1+json"),
      layers: [descriptor(layer, "application/vnd.oci.image.layer.v1.tar")],
      annotations: { built: "here" },
    };
    await pushManifest(mirror.client, "foo/base", "mine", manifest);
    await pulled("foo/other", "other");
    expect(await evictAfter(11, { maxAge: day })).to.be.greaterThan(0);
    await mirror.client.expect([200], "GET", "/v2/foo/base/manifests/mine");
    for (const path of [config, layer]) expect(await isKept(path)).to.equal(true);
  });

  it("leaves what another repository has got by a push, with or without a mirror", async () => {
    const [, layer = ""] = await pulled("foo/base", "shared");
    const bytes = (await mirror.client.expect([200], "GET", layer)).body;
    const plain = await startRegistry({ storage: "local", storage_path: folder });
    try {
      await pushBlob(plain.client, "own/app", bytes);
      expect(await evictAfter(11, { maxAge: day })).to.equal(2);
      const kept = await plain.client.expect([200], "GET", layer.replace("foo/base", "own/app"));
      expect(kept.body.equals(bytes)).to.equal(true);
    } finally {
      await plain.close();
    }
  });

  it("leaves the layers of images that V1 clients have pushed", async () => {
    const layer = gzipSync(await tarOf("file", 1000));
    const { digest } = await pushBlob(source.client, "foo/app", layer);
    const path = `/v2/foo/app/blobs/${digest}`;
    expect(digestOf((await mirror.client.expect([200], "GET", path)).body)).to.equal(digest);
    await keptAndLinked(path);
    const image = imageOf(layer);
    await mirror.client.push("foo/v1", "v1", [image]);
    await evictAfter(11, { maxAge: day });
    const [pulledImage] = await mirror.client.pull("foo/v1", "v1");
    expect(`sha256:${pulledImage?.layer.sha256 ?? ""}`).to.equal(digest);
  });
});
