import { lookup } from "node:dns";
import { expect } from "chai";
import { isPublicAddress, publicLookup } from "../../../src/server/mirror/public-address.ts";
import { selfSigned, type Certificate } from "../../support/certificate.ts";
import { FaultyUpstream } from "../../support/faulty-upstream.ts";
import { ForwardProxy } from "../../support/forward-proxy.ts";
import { imageManifest, pushManifest } from "../../support/oci-image.ts";
import { removeFolder, temporaryFolder } from "../../support/program.ts";
import { startRegistry, type RegistryServer } from "../../support/registry-server.ts";

describe("the ways from a mirror to its source", () => {
  const manifest = "/v2/foo/app/manifests/v1";
  const closing: (() => Promise<unknown>)[] = [];
  let folder: string;
  let certificate: Certificate;
  let source: RegistryServer;
  let upstream: FaultyUpstream;
  let proxy: ForwardProxy;
  let secure: string;
  let digest: string;

  before(async () => {
    folder = await temporaryFolder("ways");
    certificate = await selfSigned(folder);
    source = await startRegistry();
    upstream = await FaultyUpstream.start(source.url);
    // Nobody else knows that name: DNS has no public address for it, and no private one.
    proxy = await ForwardProxy.start({ "registry.invalid": upstream.port });
    secure = await source.alsoListen({ tls: certificate });
    ({ digest } = await pushManifest(source.client, "foo/app", "v1", await imageManifest(source.client, "foo/app", "x"))); // prettier-ignore
  });

  beforeEach(() => {
    upstream.calm();
    proxy.asked.length = 0;
  });

  afterEach(async () => {
    for (const close of closing.splice(0)) await close();
  });

  after(async () => {
    await proxy.stop();
    await upstream.stop();
    await source.close();
    await removeFolder(folder);
  });

  async function mirrorOf(mirroring: NonNullable<Parameters<typeof startRegistry>[0]>["mirroring"]) {
    const mirror = await startRegistry({ mirroring });
    closing.push(() => mirror.close());
    return mirror.client;
  }

  it("may be TLS with an authority of one's own, and with no other", async () => {
    const trusting = await mirrorOf({ source: secure, ca: certificate.certificate });
    const { headers } = await trusting.expect([200], "GET", manifest);
    expect(headers["docker-content-digest"]).to.equal(digest);
    const { body } = await (await mirrorOf({ source: secure })).expect([502], "GET", manifest);
    expect(body.toString()).to.contain("certificate is not trusted");
  });

  it("can't begin with certificates that are not there", async () => {
    const error: unknown = await startRegistry({ mirroring: { source: secure, ca: "/nowhere.pem" } }).catch((reason: unknown) => reason); // prettier-ignore
    expect(String(error)).to.contain("/nowhere.pem");
  });

  it("may lead through a proxy, for all that is asked, with and without TLS", async () => {
    const { port, host } = new URL(secure);
    const client = await mirrorOf({
      source: "http://registry.invalid",
      proxy: proxy.url,
      upstreams: [
        { url: `https://localhost:${port}`, prefix: "secure", ca: certificate.certificate, proxy: proxy.url },
      ],
    });
    for (const path of [manifest, manifest.replace("foo", "secure/foo")]) {
      const { headers, body } = await client.expect([200], "GET", path);
      expect(headers["docker-content-digest"]).to.equal(digest);
      const { layers } = JSON.parse(body.toString()) as { layers: { digest: string }[] };
      for (const layer of layers) await client.expect([200], "GET", `${path.replace(/manifests.*/, "blobs/")}${layer.digest}`); // prettier-ignore
    }
    expect([...new Set(proxy.asked)]).to.deep.equal(["registry.invalid:80", `localhost:${new URL(`http://${host}`).port}`]); // prettier-ignore
  });

  it("says when the proxy is not there", async () => {
    const client = await mirrorOf({ source: "http://registry.invalid", proxy: "http://127.0.0.1:1" });
    await client.expect([502], "GET", manifest);
  });

  for (const [what, substitute] of [
    ["a redirect", (port: string) => ({ status: 307, headers: { Location: `http://127.0.0.1:${port}${manifest}` } })],
    [
      "a redirect to a cloud's secrets",
      () => ({ status: 307, headers: { Location: "http://169.254.169.254/latest" } }),
    ],
    [
      "a token server",
      (port: string) => ({ status: 401, headers: { "WWW-Authenticate": `Bearer realm="http://[::1]:${port}/token"` } }),
    ],
  ] as const) {
    it(`do not go on from a public source to a private address by ${what}`, async () => {
      const client = await mirrorOf({ source: "http://registry.invalid", proxy: proxy.url });
      upstream.substitute = substitute(new URL(source.url).port);
      const { body } = await client.expect([502], "GET", manifest);
      expect(body.toString()).to.contain("not public");
      expect(proxy.asked).to.deep.equal(["registry.invalid:80"]);
    });
  }

  it("do not go on without TLS from what has it, nor to what is no place on the web", async () => {
    for (const location of ["http://127.0.0.1:1/", "file:///etc/passwd", "http://["]) {
      const insecure = await FaultyUpstream.start(source.url, certificate);
      closing.push(() => insecure.stop());
      insecure.substitute = { status: 302, headers: { Location: location } };
      for (const protocol of ["v1", "v2"] as const) {
        const client = await mirrorOf({ source: insecure.url, ca: certificate.certificate, protocol });
        const path = protocol === "v2" ? manifest : "/v1/repositories/foo/app/tags/v1";
        const { body } = await client.expect([502], "GET", path);
        expect(body.toString(), location).to.match(/without TLS|no place|does not answer/);
      }
    }
  });

  it("keep the password from where redirects lead", async () => {
    const elsewhere = await FaultyUpstream.start(source.url);
    closing.push(() => elsewhere.stop());
    const client = await mirrorOf({ source: upstream.url, username: "alice", password: "sesame" });
    upstream.substitute = { status: 401, headers: { "WWW-Authenticate": "Basic realm=x" } };
    await client.expect([404], "GET", manifest);
    expect(upstream.authorizations.some((said) => said?.startsWith("Basic "))).to.equal(true);
    upstream.substitute = { status: 307, headers: { Location: `${elsewhere.url}${manifest}` } };
    await client.expect([200], "GET", manifest);
    expect(elsewhere.requests).to.deep.equal([`GET ${manifest}`]);
    expect(elsewhere.authorizations).to.deep.equal([undefined]);
  });

  it("end where a list goes in circles", async () => {
    const client = await mirrorOf({ source: upstream.url });
    upstream.headers = { link: '</v2/foo/app/tags/list?n=1&last=v0>; rel="next"' };
    const { body } = await client.expect([200], "GET", "/v2/foo/app/tags/list");
    expect(JSON.parse(body.toString())).to.deep.equal({ name: "foo/app", tags: ["v1"] });
    expect(upstream.count("tags/list")).to.equal(2);
  });
});

describe("public addresses", () => {
  for (const address of ["127.0.0.1", "10.1.2.3", "172.31.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "255.255.255.255", "::1", "::", "fe80::1", "fd00::1", "::ffff:127.0.0.1", "::ffff:a00:1"]) {
    it(`are not ${address}`, () => {
      expect(isPublicAddress(address)).to.equal(false);
    });
  } // prettier-ignore

  for (const address of ["8.8.8.8", "172.32.0.1", "192.169.0.1", "2606:4700::1", "::ffff:8.8.8.8"]) {
    it(`may be ${address}`, () => {
      expect(isPublicAddress(address)).to.equal(true);
    });
  }

  it("are not what localhost is", async () => {
    const found = await new Promise((resolve) => { lookup("localhost", (error) => { resolve(error?.code); }); }); // prettier-ignore
    expect(found).to.equal(undefined);
    const code = await new Promise((resolve) => { publicLookup("localhost", {}, (error) => { resolve(error?.code); }); }); // prettier-ignore
    expect(code).to.equal("EPRIVATE");
  });
});
