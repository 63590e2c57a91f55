import { expect } from "chai";
import { passwordFile } from "../../support/certificate.ts";
import { FaultyUpstream } from "../../support/faulty-upstream.ts";
import { imageManifest, pushManifest } from "../../support/oci-image.ts";
import { removeFolder, temporaryFolder } from "../../support/program.ts";
import { startRegistry, type RegistryServer } from "../../support/registry-server.ts";
import type { V1Client } from "../../support/v1-client.ts";

describe("a mirror with accounts, of a registry with accounts", () => {
  const manifest = "/v2/foo/app/manifests/v1";
  let folder: string;
  let source: RegistryServer;
  let upstream: FaultyUpstream;
  let mirror: RegistryServer;
  let digest: string;

  before(async () => {
    folder = await temporaryFolder("accounts");
    const auth = { htpasswd: await passwordFile(folder, "alice", "sesame") };
    source = await startRegistry({ auth });
    upstream = await FaultyUpstream.start(source.url);
    mirror = await startRegistry({
      auth,
      mirroring: {
        upstreams: [
          { url: upstream.url, username: "alice", password: "sesame", tags_cache_ttl: 0 },
          { url: upstream.url, prefix: "anonymous" },
          { url: upstream.url, prefix: "wrong", username: "alice", password: "simsim" },
        ],
      },
    });
    const writer = source.connect({ basic: "alice:sesame" });
    ({ digest } = await pushManifest(writer, "foo/app", "v1", await imageManifest(writer, "foo/app", "one")));
  });

  beforeEach(() => {
    upstream.calm();
  });

  after(async () => {
    await mirror.close();
    await upstream.stop();
    await source.close();
    await removeFolder(folder);
  });

  const alice = (): V1Client => mirror.connect({ basic: "alice:sesame" });

  it("asks the source with a token for the account that it has there", async () => {
    const { headers, body } = await alice().expect([200], "GET", manifest);
    expect(headers["docker-content-digest"]).to.equal(digest);
    const { layers } = JSON.parse(body.toString()) as { layers: { digest: string }[] };
    for (const layer of layers) await alice().expect([200], "GET", `/v2/foo/app/blobs/${layer.digest}`);
    expect(upstream.authorizations.some((said) => said?.startsWith("Bearer "))).to.equal(true);
  });

  it("asks nobody for clients that it does not let in", async () => {
    for (const path of [
      manifest,
      `/v2/foo/app/blobs/${digest}`,
      "/v2/foo/app/tags/list",
      "/v1/repositories/foo/app/tags",
    ]) {
      await mirror.client.expect([401], "GET", path);
    }
    await mirror.client.expect([401], "GET", `${manifest}?ns=${new URL(upstream.url).host}`);
    expect(upstream.requests).to.deep.equal([]);
  });

  it("says that the source does not let it in", async () => {
    for (const prefix of ["anonymous", "wrong"]) {
      const { status, body } = await alice().send("GET", `/v2/${prefix}/foo/app/manifests/v1`);
      expect([prefix, status]).to.deep.equal([prefix, 404]);
      expect(body.toString()).to.match(/does not let us in|token server/);
    }
  });
});
