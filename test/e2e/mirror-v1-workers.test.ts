import { buffer } from "node:stream/consumers";
import { expect } from "chai";
import { FaultyUpstream } from "../support/faulty-upstream.ts";
import { until } from "../support/program.ts";
import { RegistryProcess } from "../support/registry-process.ts";
import { startRegistry, type RegistryServer } from "../support/registry-server.ts";
import { imageOf, smallChain, tarOf } from "../support/v1-images.ts";

describe("a mirror of a V1 registry with two workers", function () {
  this.timeout(180_000);
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

  it("fetches a layer once for all clients of both, who see it as it comes", async () => {
    const layer = await tarOf("file", 3_000_000);
    const image = imageOf(layer);
    await source.client.push("foo/large", "v1", [image]);
    await mirror.client().expect([200], "GET", "/v1/repositories/foo/large/tags/v1");
    const path = `/v1/images/${image.id}/layer`;
    upstream.calm();
    upstream.hold(1_000_000);
    const open = async () => await mirror.client().open("GET", path);
    const answers = await Promise.all(Array.from({ length: 20 }, open));
    const first = await Promise.all(answers.map(async (answer) => (await answer.iterator({ destroyOnReturn: false }).next()).value as Buffer)); // prettier-ignore
    expect(upstream.passed).to.be.within(1_000_000, 1_010_000);
    upstream.release();
    for (const [index, answer] of answers.entries()) {
      expect(Buffer.concat([first[index] ?? Buffer.alloc(0), await buffer(answer)]).equals(layer)).to.equal(true);
    }
    expect(upstream.count("/layer")).to.equal(1);
    upstream.calm();
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
