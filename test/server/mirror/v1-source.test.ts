import { expect } from "chai";
import type { FaultyUpstream } from "../../support/faulty-upstream.ts";
import { mirroredRegistry } from "../../support/mirrored-registry.ts";
import { digestOf, imageManifest, pushManifest } from "../../support/oci-image.ts";
import type { RegistryServer } from "../../support/registry-server.ts";
import { smallChain } from "../../support/v1-images.ts";

describe("a mirror of a V1 registry", () => {
  const registries = mirroredRegistry("v1");
  let source: RegistryServer;
  let upstream: FaultyUpstream;
  let mirror: RegistryServer;

  before(() => {
    ({ source, upstream, mirror } = registries());
  });

  const expectNoV2 = () => {
    expect(upstream.requests.filter((line) => line.includes("/v2/"))).to.deep.equal([]);
  };

  it("gives V1 clients its images, byte for byte, and only those that they ask for", async () => {
    await source.client.push("foo/app", "v1", await smallChain(3));
    await source.client.push("foo/app", "other", await smallChain(1));
    const pulled = await mirror.client.pull("foo/app", "v1");
    expect(upstream.count("/layer")).to.equal(3);
    expect(pulled).to.deep.equal(await source.client.pull("foo/app", "v1"));
    expectNoV2();
  });

  it("serves what it has when the source is out of order, and says when it has nothing", async () => {
    await source.client.push("foo/kept", "v1", await smallChain(2));
    const pulled = await mirror.client.pull("foo/kept", "v1");
    upstream.substitute = { status: 500 };
    expect(await mirror.client.pull("foo/kept", "v1")).to.deep.equal(pulled);
    for (const path of ["tags/v1", "tags", "images"]) {
      const { body } = await mirror.client.expect([502], "GET", `/v1/repositories/foo/cold/${path}`);
      expect(body.toString()).to.contain("The mirrored registry does not answer");
    }
    await mirror.client.expect([502], "GET", "/v2/foo/cold/tags/list");
    const { headers } = await mirror.client.expect([200], "GET", "/v2/foo/kept/manifests/v1");
    expect(headers["warning"]).to.contain("answers 500");
    expect(mirror.log.some((line) => line.includes("Tags are listed without those"))).to.equal(true);
  });

  it("never keeps an image whose layer is another than its checksum says", async () => {
    await source.client.push("foo/spoilt", "v1", await smallChain(1));
    const image = JSON.parse(
      (await source.client.send("GET", "/v1/repositories/foo/spoilt/tags/v1")).body.toString(),
    ) as string;
    await mirror.client.expect([200], "GET", "/v1/repositories/foo/spoilt/tags/v1");
    upstream.headers = { "x-docker-checksum-payload": digestOf("another") };
    // So short that nothing of it was sent before all was seen.
    await mirror.client.expect([502], "GET", `/v1/images/${image}/layer`);
    await mirror.client.expect([502], "GET", `/v1/images/${image}/files`);
    await mirror.client.expect([502], "GET", "/v2/foo/spoilt/manifests/v1");
    upstream.calm();
    await mirror.client.expect([200], "GET", `/v1/images/${image}/json`);
    await mirror.client.expect([200], "GET", `/v1/images/${image}/layer`);
    expect(upstream.count("/layer")).to.equal(1);
  });

  it("gives V2 clients its images by the bridge", async () => {
    await source.client.push("foo/bridged", "v1", await smallChain(2));
    const { headers, body } = await mirror.client.expect([200], "GET", "/v2/foo/bridged/manifests/v1");
    const { layers } = JSON.parse(body.toString()) as { layers: { digest: string }[] };
    for (const { digest } of layers) {
      const blob = await mirror.client.expect([200], "GET", `/v2/foo/bridged/blobs/${digest}`);
      expect(digestOf(blob.body)).to.equal(digest);
    }
    expectNoV2();
    const own = await source.client.expect([200], "HEAD", "/v2/foo/bridged/manifests/v1");
    expect(headers["docker-content-digest"]).to.equal(own.headers["docker-content-digest"]);
    const tags = await mirror.client.expect([200], "GET", "/v2/foo/bridged/tags/list");
    expect(JSON.parse(tags.body.toString())).to.deep.equal({ name: "foo/bridged", tags: ["v1"] });
    await mirror.client.expect([404], "GET", "/v2/foo/bridged/manifests/never");
  });

  it("takes pushes of both protocols, which count before the source's", async () => {
    const theirs = await smallChain(1);
    await source.client.push("foo/own", "v1", theirs);
    await mirror.client.pull("foo/own", "v1");
    const ours = await smallChain(1);
    await mirror.client.push("foo/own", "v1", ours);
    expect((await mirror.client.pull("foo/own", "v1")).map(({ id }) => id)).to.deep.equal(ours.map(({ id }) => id));
    const pushed = await pushManifest(
      mirror.client,
      "foo/own",
      "v2",
      await imageManifest(mirror.client, "foo/own", "mine"),
    );
    const { body } = await mirror.client.expect([200], "GET", "/v2/foo/own/manifests/v2");
    expect(digestOf(body)).to.equal(pushed.digest);
  });

  it("asks what a tag names again once it is not believed any more", async () => {
    await source.client.push("foo/moved", "v1", await smallChain(1));
    await mirror.client.pull("foo/moved", "v1");
    const later = await smallChain(1);
    await source.client.push("foo/moved", "v1", later);
    expect((await mirror.client.pull("foo/moved", "v1")).map(({ id }) => id)).to.deep.equal(later.map(({ id }) => id));
  });
});
