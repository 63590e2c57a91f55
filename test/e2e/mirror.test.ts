import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import { selfSigned } from "../support/certificate.ts";
import { failureOf } from "../support/client-suite.ts";
import { ContainerTools, needsContainerTools } from "../support/container-tools.ts";
import { Containerd, needsContainerd } from "../support/containerd.ts";
import { DockerRegistry } from "../support/docker-registry.ts";
import { endOfSuite } from "../support/end-of-suite.ts";
import { FaultyUpstream } from "../support/faulty-upstream.ts";
import { blobOf, writeImage, writeMultiPlatformImage, type ImageLayout } from "../support/image-layout.ts";
import { digestOf, pullImage } from "../support/oci-image.ts";
import { removeFolder, temporaryFolder } from "../support/program.ts";
import { RegistryProcess } from "../support/registry-process.ts";
import { TokenServer } from "../support/token-server.ts";

describe("a mirror of docker-registry with tokens", function () {
  this.timeout(180_000);
  const atEnd = endOfSuite();
  let tokens: TokenServer;
  let upstream: FaultyUpstream;
  let mirror: RegistryProcess;
  let tools: ContainerTools;
  let folder: string;

  before(async function () {
    needsContainerTools(this, "skopeo", "podman", "openssl");
    folder = await temporaryFolder("mirrored");
    atEnd(() => removeFolder(folder));
    const certificate = await selfSigned(folder);
    tokens = await TokenServer.start({
      certificate,
      users: { alice: "sesame" },
      publicRepositories: ["library/public"],
      identityTokens: ["identity of alice"],
    });
    atEnd(() => tokens.stop());
    const { realm, service, issuer } = tokens;
    const token = { realm, service, issuer, rootcertbundle: certificate.certificate };
    const source = await DockerRegistry.start(this, join(folder, "store"), { token });
    atEnd(() => source.stop());
    upstream = await FaultyUpstream.start(source.url);
    atEnd(() => upstream.stop());
    const helper = join(folder, "docker-credential-test");
    await writeFile(
      helper,
      `#!/bin/sh\nread server\necho '{"ServerURL":"","Username":"<token>","Secret":"identity of alice"}'\n`,
    );
    await chmod(helper, 0o755);
    mirror = await RegistryProcess.start([
      "mirroring:",
      "  tags_cache_ttl: 0",
      "  upstreams:",
      `    - { url: '${upstream.url}', username: alice, password: sesame }`,
      `    - { url: '${upstream.url}', prefix: open, push: false }`,
      `    - { url: '${upstream.url}', prefix: helped, credential_helper: '${helper}', repositories: ['team/*'] }`,
    ]);
    atEnd(() => mirror.remove());
    tools = await ContainerTools.create({ address: address(), authority: undefined });
    atEnd(() => tools.remove());
  });

  beforeEach(() => {
    upstream.calm();
    tokens.given.length = 0;
  });

  const address = () => `127.0.0.1:${mirror.port}`;

  /** Pushes an image to the source. */
  async function pushed(name: string, make: typeof writeImage = writeImage): Promise<ImageLayout> {
    const image = await make(tools.path(name.replaceAll("/", "-")));
    const there = `docker://${new URL(upstream.url).host}/${name}:v1`;
    await tools.skopeo(
      "copy",
      "--all",
      "--dest-tls-verify=false",
      "--dest-creds",
      "alice:sesame",
      image.reference,
      there,
    );
    upstream.calm();
    tokens.given.length = 0;
    return image;
  }

  it("gives skopeo all platforms of an image, with one request for each blob and one token", async () => {
    const image = await pushed("team/platforms", writeMultiPlatformImage);
    const out = tools.path("out");
    await tools.skopeo("copy", "--all", `docker://${address()}/team/platforms:v1`, `oci:${out}:v1`);
    for (const { digest, config, layers } of image.images) {
      for (const blob of [digest, config, ...layers]) expect(digestOf(await blobOf(out, blob))).to.equal(blob);
      for (const blob of [config, ...layers])
        expect(upstream.count(`GET /v2/team/platforms/blobs/${blob}`)).to.equal(1);
    }
    expect(tokens.given).to.deep.equal(["alice repository:team/platforms:pull"]);
  });

  it("asks once for each blob of an image that 50 clients pull at the same time", async () => {
    const { images } = await pushed("team/popular");
    await Promise.all(Array.from({ length: 50 }, async () => { await pullImage(mirror.client(), "team/popular", "v1"); })); // prettier-ignore
    for (const blob of images.flatMap(({ config, layers }) => [config, ...layers])) {
      expect(upstream.count(blob), blob).to.equal(1);
    }
  });

  it("gives podman an image that runs, also when the source is gone", async () => {
    await pushed("team/app");
    await tools.podman("pull", `${address()}/team/app:v1`);
    await tools.podman("rmi", `${address()}/team/app:v1`);
    const { port } = upstream;
    await upstream.stop();
    try {
      await tools.podman("pull", `${address()}/team/app:v1`);
    } finally {
      await upstream.listen(port);
    }
  });

  it("pulls what is public without an account, and says so of what isn't", async () => {
    const image = await pushed("library/public");
    await pushed("team/secret");
    const out = tools.path("public");
    await tools.skopeo("copy", `docker://${address()}/open/library/public:v1`, `oci:${out}:v1`);
    expect(tokens.given).to.deep.equal(["anonymous repository:library/public:pull"]);
    expect(digestOf(await blobOf(out, image.digest))).to.equal(image.digest);
    const refused = await failureOf(tools.skopeo("inspect", `docker://${address()}/open/team/secret:v1`));
    expect(refused).to.contain("does not let us in");
    const { body } = await mirror.client().expect([404], "GET", "/v2/open/team/secret/manifests/v1");
    expect(body.toString()).to.contain("does not let us in");
  });

  it("takes no push where it isn't to", async () => {
    const image = await writeImage(tools.path("unwanted"));
    const refused = await failureOf(tools.skopeo("copy", image.reference, `docker://${address()}/open/foo/app:v1`));
    expect(refused).to.match(/405|can't be pushed to/);
    const { body } = await mirror.client().expect([405], "POST", "/v2/open/foo/app/blobs/uploads/");
    expect(body.toString()).to.contain("a mirror that can't be pushed to");
    await tools.skopeo("copy", image.reference, `docker://${address()}/mine/app:v1`);
    await tools.skopeo("inspect", `docker://${address()}/mine/app:v1`);
  });

  it("asks a credential helper who it is, and for allowed repositories alone", async () => {
    await pushed("team/helped");
    await tools.skopeo("inspect", `docker://${address()}/helped/team/helped:v1`);
    expect(tokens.given).to.deep.equal(["identified repository:team/helped:pull"]);
    upstream.calm();
    await failureOf(tools.skopeo("inspect", "--no-tags", `docker://${address()}/helped/library/public:v1`));
    expect(upstream.requests).to.deep.equal([]);
  });

  it("is what containerd asks in place of the source", async function () {
    needsContainerd(this);
    const image = await pushed("team/contained");
    const containerd = await Containerd.start({ address: address(), authority: undefined });
    try {
      const there = new URL(upstream.url).host;
      const host = join(containerd.hosts, there);
      await mkdir(host, { recursive: true });
      await writeFile(join(host, "hosts.toml"), `server = "http://nobody.invalid"\n[host."${mirror.url}"]\ncapabilities = ["pull", "resolve"]\n`); // prettier-ignore
      const ctr = async (...args: string[]) => await containerd.ctr("mirrored", ...args);
      await ctr("content", "fetch", "--hosts-dir", containerd.hosts, `${there}/team/contained:v1`);
      expect(await ctr("images", "ls", `name==${there}/team/contained:v1`)).to.contain(image.digest);
      const asked = await mirror.client().send("HEAD", `/v2/team/contained/manifests/v1?ns=${there}`);
      expect(asked.headers["docker-content-digest"]).to.equal(image.digest);
      const foreign = await mirror.client().send("GET", "/v2/team/contained/manifests/v1?ns=quay.io");
      expect(foreign.status).to.equal(404);
    } finally {
      await containerd.stop();
    }
  });
});
