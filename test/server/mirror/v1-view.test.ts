import { expect } from "chai";
import type { FaultyUpstream } from "../../support/faulty-upstream.ts";
import { mirroredRegistry } from "../../support/mirrored-registry.ts";
import type { RegistryServer } from "../../support/registry-server.ts";
import { smallChain } from "../../support/v1-images.ts";

describe("a mirror of a V2 registry, seen by V1 clients", () => {
  const registries = mirroredRegistry("v2");
  let source: RegistryServer;
  let upstream: FaultyUpstream;
  let mirror: RegistryServer;

  before(() => {
    ({ source, upstream, mirror } = registries());
  });

  it("gives them its images: chain, documents and layers", async () => {
    await source.client.push("foo/app", "v1", await smallChain(3));
    const pulled = await mirror.client.pull("foo/app", "v1");
    const own = await source.client.pull("foo/app", "v1");
    expect(pulled.map(({ layer }) => layer)).to.deep.equal(own.map(({ layer }) => layer));
    expect(upstream.requests.filter((line) => !line.includes("/v2/"))).to.deep.equal([]);
  });

  it("serves what they have pulled, and what they push, without the source", async () => {
    await source.client.push("foo/kept", "v1", await smallChain(2));
    const pulled = await mirror.client.pull("foo/kept", "v1");
    upstream.substitute = { status: 500 };
    expect(await mirror.client.pull("foo/kept", "v1")).to.deep.equal(pulled);
    await mirror.client.push("foo/pushed", "v1", await smallChain(2));
    await mirror.client.pull("foo/pushed", "v1");
  });

  it("says who is missing: the tag, the repository, or the source", async () => {
    await mirror.client.expect([404], "GET", "/v1/repositories/foo/never/tags/v1");
    await mirror.client.expect([404], "GET", "/v1/repositories/foo/never/images");
    upstream.substitute = { status: 500 };
    const { body } = await mirror.client.expect([502], "GET", "/v1/repositories/foo/other/tags/v1");
    expect(body.toString()).to.contain("The mirrored registry does not answer");
    const { headers } = await mirror.client.expect([200], "GET", "/v1/_ping");
    expect(headers["x-docker-registry-standalone"]).to.equal("mirror");
  });
});
