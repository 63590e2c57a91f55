import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { buffer } from "node:stream/consumers";
import { expect } from "chai";
import type { FaultyUpstream } from "../../support/faulty-upstream.ts";
import { mirroredRegistry } from "../../support/mirrored-registry.ts";
import { digestOf } from "../../support/oci-image.ts";
import { until } from "../../support/program.ts";
import type { RegistryServer } from "../../support/registry-server.ts";
import { imageOf, tarOf } from "../../support/v1-images.ts";

const mebibyte = 1024 * 1024;

describe("layers of a V1 registry that a mirror is asked for", () => {
  const registries = mirroredRegistry("v1");
  let source: RegistryServer;
  let upstream: FaultyUpstream;
  let mirror: RegistryServer;
  let count = 0;

  before(() => {
    ({ source, upstream, mirror } = registries());
  });

  type Fresh = Awaited<ReturnType<typeof freshImage>>;

  /** An image of two that the mirror has been told of and has nothing of. */
  async function freshImage() {
    const name = `foo/app${++count}`;
    const [below, bytes] = [await tarOf("below", 1000), await tarOf("file", 3 * mebibyte)];
    const parent = imageOf(below);
    const image = imageOf(bytes, parent);
    await source.client.push(name, "v1", [parent, image]);
    await mirror.client.expect([200], "GET", `/v1/repositories/${name}/tags/v1`);
    await mirror.client.expect([200], "GET", `/v1/images/${image.id}/ancestry`);
    upstream.calm();
    return { name, bytes, parent, path: `/v1/images/${image.id}/layer` };
  }

  async function expectKept({ name, parent, path }: Fresh): Promise<void> {
    await until("the image to be kept", async () => {
      const { headers } = await mirror.client.expect([200], "GET", path.replace("layer", "json"));
      return headers["cache-control"] !== "no-store";
    });
    upstream.substitute = { status: 500 };
    await until("its tag to be kept", async () => {
      const { status } = await mirror.client.send("GET", `/v1/repositories/${name}/tags/v1`);
      return status === 200;
    });
    const [below, above] = await mirror.client.pull(name, "v1");
    expect([below?.id, above?.layer.size]).to.deep.equal([parent.id, (await source.client.pull(name, "v1"))[1]?.layer.size]); // prettier-ignore
    upstream.calm();
  }

  it("begin at the client while the rest is still to come, also when what they are built on is not here", async () => {
    const fresh = await freshImage();
    const { bytes, path } = fresh;
    upstream.hold(mebibyte);
    await mirror.client.expect([200], "GET", path.replace("layer", "json"));
    const answer = await mirror.client.open("GET", path);
    expect(answer.headers["content-length"]).to.equal(String(bytes.length));
    const chunks: Buffer[] = [];
    answer.on("data", (chunk: Buffer) => chunks.push(chunk));
    await until("what the source has sent", () => Buffer.concat(chunks).length === mebibyte);
    upstream.release();
    await once(answer, "end");
    expect(digestOf(Buffer.concat(chunks))).to.equal(digestOf(bytes));
    expect(upstream.count(path)).to.equal(1);
    await expectKept(fresh);
  });

  it("come once for 20 clients, in part and as a whole, also when one of them leaves", async () => {
    const fresh = await freshImage();
    const { bytes, path } = fresh;
    upstream.hold(mebibyte);
    const leaving = await mirror.client.open("GET", path);
    const range = { headers: { Range: `bytes=100-${mebibyte + 99}` } };
    const part = await mirror.client.open("GET", path, range);
    expect(part.headers["content-range"]).to.equal(`bytes 100-${mebibyte + 99}/${bytes.length}`);
    const staying = await Promise.all(Array.from({ length: 18 }, async () => await mirror.client.open("GET", path)));
    leaving.destroy();
    upstream.release();
    for (const answer of staying) expect(digestOf(await buffer(answer))).to.equal(digestOf(bytes));
    expect((await buffer(part)).equals(bytes.subarray(100, mebibyte + 100))).to.equal(true);
    expect(upstream.count(path)).to.equal(1);
    await expectKept(fresh);
  });

  it("come to the end when the only client leaves", async () => {
    const fresh = await freshImage();
    const { path } = fresh;
    upstream.hold(mebibyte);
    (await mirror.client.open("GET", path)).destroy();
    upstream.release();
    await expectKept(fresh);
  });

  it("go on where the source has cut them", async () => {
    const fresh = await freshImage();
    const { bytes, path } = fresh;
    upstream.fault = { cutAt: bytes.length / 2, times: 1 };
    expect(digestOf(await buffer(await mirror.client.open("GET", path)))).to.equal(digestOf(bytes));
    // What had come and was not read yet when the connection ended is asked for again.
    expect(upstream.ranges).to.have.length(1);
    expect(Number(/^bytes=(\d+)-$/.exec(upstream.ranges[0] ?? "")?.[1])).to.be.within(1, bytes.length / 2);
    await expectKept(fresh);
  });

  for (const [what, spoil] of [
    ["corrupts", () => (upstream.fault = { corrupt: true })],
    [
      "goes down over",
      () => {
        upstream.hold(mebibyte);
      },
    ],
  ] as const) {
    it(`never end cleanly where the source ${what} them, and nothing of them is kept`, async () => {
      const fresh = await freshImage();
      const { bytes, path } = fresh;
      spoil();
      const { port } = upstream;
      const answer = await mirror.client.open("GET", path);
      const cut = cutBody(answer);
      await until("the first part", () => upstream.passed >= mebibyte);
      if (upstream.fault && "holdAt" in upstream.fault) await upstream.stop();
      expect(await cut).to.be.within(1, bytes.length - 1);
      await upstream.stop();
      await mirror.client.expect([502], "GET", path);
      await upstream.listen(port);
      upstream.calm();
      expect(digestOf((await mirror.client.expect([200], "GET", path)).body)).to.equal(digestOf(bytes));
      expect(upstream.count(path)).to.equal(1);
      await expectKept(fresh);
    });
  }
});

/** How much there was of a body that is cut. */
async function cutBody(answer: IncomingMessage): Promise<number> {
  let size = 0;
  answer.on("data", (chunk: Buffer) => (size += chunk.length));
  await once(answer, "end").then(
    () => expect.fail("it ends cleanly"),
    () => undefined,
  );
  return size;
}
