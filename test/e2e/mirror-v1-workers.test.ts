import { expect } from "chai";
import { FaultyUpstream } from "../support/faulty-upstream.ts";
import { until } from "../support/program.ts";
import { RegistryProcess } from "../support/registry-process.ts";
import { startRegistry, type RegistryServer } from "../support/registry-server.ts";
import { smallChain } from "../support/v1-images.ts";

describe("a mirror of a V1 registry with two workers", function () {
  this.timeout(60_000);
  let source: RegistryServer;
  let upstream: FaultyUpstream;
  let mirror: RegistryProcess;

  before(async () => {
    source = await startRegistry();
    upstream = await FaultyUpstream.start(source.url);
    const options = `mirroring: { source: '${upstream.url}', protocol: v1, tags_cache_ttl: 0 }`;
    mirror = await RegistryProcess.start(["workers: 2", options]);
    await until("both workers", () => mirror.output.split('"msg":"listening on').length > 2);
  });

  after(async () => {
    await mirror.remove();
    await upstream.stop();
    await source.close();
  });

  it("gives an image by its id, whichever worker was told of it", async () => {
    const images = await smallChain(2);
    await source.client.push("foo/told", "v1", images);
    const { body } = await mirror.client().expect([200], "GET", "/v1/repositories/foo/told/tags/v1");
    const id = JSON.parse(body.toString()) as string;
    // The workers take turns: two of these four ask the one that was not told.
    for (const document of ["ancestry", "json", "layer", "json"]) {
      await mirror.client().expect([200], "GET", `/v1/images/${id}/${document}`);
    }
    expect(upstream.count(`/images/${id}/layer`)).to.equal(1);
  });

  it("gives images whichever worker is asked for them, and keeps their tags", async () => {
    for (let time = 0; time < 4; time++) {
      const name = `foo/app${time}`;
      await source.client.push(name, "v1", await smallChain(3));
      // Each request is a connection of its own, and the workers take turns.
      const pulled = await mirror.client().pull(name, "v1");
      expect(pulled).to.deep.equal(await source.client.pull(name, "v1"));
      await mirror.client().pull(name, "v1");
      upstream.substitute = { status: 500 };
      expect(await mirror.client().pull(name, "v1")).to.deep.equal(pulled);
      upstream.calm();
    }
  });
});
