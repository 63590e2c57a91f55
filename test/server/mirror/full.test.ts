import { chmod, rm } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import { command } from "../../support/command.ts";
import { FaultyUpstream } from "../../support/faulty-upstream.ts";
import { needs } from "../../support/needs.ts";
import { imageManifest, pushBlob, pushManifest } from "../../support/oci-image.ts";
import { removeFolder, temporaryFolder, until } from "../../support/program.ts";
import { startRegistry, type RegistryServer } from "../../support/registry-server.ts";

describe("a mirror that has no room", () => {
  let folder: string;
  let source: RegistryServer;
  let upstream: FaultyUpstream;
  let mirror: RegistryServer | undefined;

  before(async () => {
    source = await startRegistry();
    upstream = await FaultyUpstream.start(source.url);
  });

  beforeEach(async () => {
    folder = await temporaryFolder("full");
    upstream.calm();
  });

  afterEach(async () => {
    await mirror?.close();
    mirror = undefined;
    await removeFolder(folder);
  });

  after(async () => {
    await upstream.stop();
    await source.close();
  });

  async function start(settings: Parameters<typeof startRegistry>[0], spool?: string): Promise<RegistryServer> {
    const mirroring = { source: upstream.url, tags_cache_ttl: 0, ...(spool !== undefined && { spool }) };
    mirror = await startRegistry({ storage: "local", storage_path: join(folder, "store"), mirroring, ...settings });
    return mirror;
  }

  async function pushed(tag: string): Promise<string> {
    return (await pushManifest(source.client, "foo/app", tag, await imageManifest(source.client, "foo/app", tag))).digest; // prettier-ignore
  }

  it("in its store gives what it can't keep, and what it has", async () => {
    const kept = await pushed("kept");
    await (await start({})).client.expect([200], "GET", "/v2/foo/app/manifests/kept");
    await mirror?.close();
    const { client, log } = await start({ min_free: "1000000G" });
    const digest = await pushed("cold");
    for (let time = 0; time < 2; time++) {
      const { headers, body } = await client.expect([200], "GET", "/v2/foo/app/manifests/cold");
      expect(headers).to.deep.include({ "docker-content-digest": digest, "content-type": "application/vnd.oci.image.manifest.v1+json" }); // prettier-ignore
      const { layers } = JSON.parse(body.toString()) as { layers: { digest: string }[] };
      for (const layer of layers) await client.expect([200], "GET", `/v2/foo/app/blobs/${layer.digest}`);
      await client.expect([200], "GET", `/v2/foo/app/manifests/${digest}`);
      const still = await client.expect([200], "GET", "/v2/foo/app/manifests/kept");
      expect(still.headers["docker-content-digest"]).to.equal(kept);
    }
    for (const what of ["A manifest of the mirrored", "A blob of the mirrored"]) {
      await until(what, () => log.some((line) => line.includes(what)));
    }
    await client.expect([507], "POST", "/v2/foo/app/blobs/uploads/");
  });

  it("for blobs on their way says so, cuts what it had begun, and goes on when there is room", async function () {
    if (process.getuid?.() !== 0) needs(this, "root's rights");
    await command("mount", ["-t", "tmpfs", "-o", "size=1m", "none", folder]);
    try {
      const { client } = await start({ storage: "memory" }, folder);
      const bytes = Buffer.alloc(2_000_000, "x");
      const { digest } = await pushBlob(source.client, "foo/app", bytes);
      const small = await pushBlob(source.client, "foo/app", Buffer.alloc(1000));
      const outcome = await client.send("GET", `/v2/foo/app/blobs/${digest}`).then(({ status }) => status, () => "cut"); // prettier-ignore
      expect(outcome).to.be.oneOf([507, "cut"]);
      await client.expect([200], "GET", `/v2/foo/app/blobs/${small.digest}`);
    } finally {
      await mirror?.close();
      mirror = undefined;
      await command("umount", [folder]);
    }
  });

  it("can't begin without a folder for blobs on their way; that it is lost is told", async () => {
    const spool = join(folder, "spool");
    const error: unknown = await start({}, spool).catch((reason: unknown) => reason);
    expect(String(error)).to.contain("mirroring.spool").and.contain(spool);
    await command("mkdir", [spool]);
    await chmod(spool, 0o700);
    const { client } = await start({}, spool);
    const { digest } = await pushBlob(source.client, "foo/app", Buffer.from("lost"));
    await rm(spool, { recursive: true });
    const { body } = await client.expect([503], "GET", `/v2/foo/app/blobs/${digest}`);
    expect(body.toString()).to.contain("not available");
    await command("mkdir", [spool]);
    await client.expect([200], "GET", `/v2/foo/app/blobs/${digest}`);
  });
});
