import { gzipSync } from "node:zlib";
import { expect } from "chai";
import { RegistryProcess } from "../support/registry-process.ts";
import { hashOf } from "../support/storage-content.ts";
import { imageOf, smallChain, tarOf } from "../support/v1-images.ts";

describe("V1 against the running server", () => {
  let registry: RegistryProcess;
  before(async function () {
    this.timeout(180_000);
    registry = await RegistryProcess.start();
  });
  after(async () => {
    await registry.remove();
  });

  it("serves 64 clients that push and pull at the same time, some of them the same image", async function () {
    this.timeout(300_000);
    const shared = await smallChain(3, 100_000);
    await registry.client().push("foobar/first", "v1", await smallChain(2, 50_000));
    await Promise.all(
      Array.from({ length: 64 }, async (_, index) => {
        const client = registry.client();
        const own = imageOf(gzipSync(await tarOf(`own-${index}`, 500_000)), shared.at(-1));
        await client.push(`foobar/client-${index}`, "v1", [...shared, own]);
        await client.pull("foobar/first", "v1");
        const pulled = await client.pull(`foobar/client-${index}`, "v1");
        expect(pulled).to.have.length(4);
        expect(pulled[3]!.layer.sha256).to.equal(await hashOf(own.layer()));
      }),
    );
  });
});
