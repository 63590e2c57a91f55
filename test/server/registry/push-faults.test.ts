import { createHash } from "node:crypto";
import { expect } from "chai";
import { openMemory } from "../../../src/drivers/storage/memory.ts";
import type { StorageDriver } from "../../../src/drivers/storage/driver.ts";
import { parseImageDocument } from "../../../src/server/registry/image-push.ts";
import { parseImageId, parseRepositoryName, parseTagName } from "../../../src/server/registry/names.ts";
import type { Registry } from "../../../src/server/registry/registry.ts";
import { failing, type FailingDriver } from "../../support/failing-driver.ts";
import { gathered } from "../../support/tar-bytes.ts";
import { smallChain } from "../../support/v1-images.ts";
import type { V1Image } from "../../support/v1-client.ts";
import { registryCores } from "../../support/registry-cores.ts";

const repository = parseRepositoryName("foo/bar");
const tag = parseTagName("v1");
const anyParent = async () => await Promise.resolve(true);

describe("the V1 core over storage that fails", () => {
  const over = registryCores();
  let chain: readonly V1Image[];
  before(async () => {
    chain = await smallChain(2, 500);
  });

  /** Pushes the chain and its tag, as the requests of a client do; what is done is noted as it is acknowledged. */
  async function push({ images, push, tags, repositories }: Registry, done: string[]): Promise<void> {
    for (const image of chain) {
      const id = parseImageId(image.id);
      if ((await images.state(id)) === "complete") continue;
      await push.putDocument(parseImageDocument(id, image.json), anyParent);
      await push.putLayer(id, image.layer, false);
      const value = `sha256:${createHash("sha256")
        .update(image.json)
        .update("\n")
        .update(await gathered(image.layer()))
        .digest("hex")}`;
      await push.putChecksum(id, { kind: "payload", value });
      done.push(image.id);
    }
    const list = Buffer.from(JSON.stringify(chain.map(({ id }) => ({ id }))));
    await repositories.putIndexImages(repository, list, JSON.parse(list.toString()) as unknown[]);
    await tags.put(repository, tag, parseImageId(chain[1]!.id), "{}");
    done.push("tag");
  }

  async function expectConsistent(driver: StorageDriver, done: readonly string[]): Promise<void> {
    const { images, tags } = over(driver);
    for (const image of chain) {
      const id = parseImageId(image.id);
      if ((await images.state(id)) !== "complete") {
        expect(done, "an acknowledged image is complete").not.to.include(image.id);
        continue;
      }
      expect((await images.json(id)).equals(image.json)).to.equal(true);
      const layer = await images.layer(id);
      expect((await gathered(await layer.open())).equals(await gathered(image.layer()))).to.equal(true);
      expect((await images.ancestry(id))[0]).to.equal(id);
    }
    for await (const { key } of driver.list("docker/registry/v2/blobs")) {
      const hex = createHash("sha256")
        .update(await gathered(await driver.read(key)))
        .digest("hex");
      expect(key).to.equal(`docker/registry/v2/blobs/sha256/${hex.slice(0, 2)}/${hex}/data`);
    }
    if (done.includes("tag")) expect(await tags.image(repository, tag)).to.equal(chain[1]!.id);
  }

  for (const when of ["before", "after"] as const) {
    it(`loses nothing acknowledged and serves nothing half, whichever call fails ${when} its effect`, async function () {
      this.timeout(180_000);
      const counting = failing(openMemory(), { nth: Infinity, when });
      await push(over(counting), []);
      expect(counting.calls).to.be.greaterThan(30);
      for (let nth = 1; nth <= counting.calls; nth++) {
        const store = openMemory();
        const faulty: FailingDriver = failing(store, { nth, when });
        const done: string[] = [];
        let failed = false;
        try {
          await push(over(faulty), done);
        } catch {
          failed = true;
        }
        expect(failed || !faulty.fired || done.length === 3, `call ${nth} is not swallowed`).to.equal(true);
        await expectConsistent(store, done);
        const again: string[] = [];
        await push(over(store), again);
        await expectConsistent(store, ["tag", ...chain.map(({ id }) => id)]);
      }
    });
  }
});
