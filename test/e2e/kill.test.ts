import { randomInt } from "node:crypto";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { expect } from "chai";
import { until } from "../support/program.ts";
import { seededRandom } from "../support/random.ts";
import { RegistryProcess } from "../support/registry-process.ts";
import { gathered } from "../support/tar-bytes.ts";
import { imageOf, tarOf } from "../support/v1-images.ts";
import type { V1Client, V1Image } from "../support/v1-client.ts";

/** What a pusher has been told is done. */
interface Acknowledged {
  readonly images: V1Image[];
  readonly repositories: { readonly name: string; readonly chain: readonly V1Image[] }[];
}

const rounds = 200;
const pushers = 4;

/** Pushes new images on top of each other until the server is gone, noting what was acknowledged. */
async function pushUntilKilled(client: V1Client, name: string, done: Acknowledged): Promise<readonly V1Image[]> {
  const chain: V1Image[] = [];
  try {
    for (;;) {
      chain.push(imageOf(gzipSync(await tarOf(`${name}-${chain.length}`, randomInt(400_000))), chain.at(-1)));
      await client.pushImage(chain.at(-1)!);
      done.images.push(chain.at(-1)!);
      await client.push(name, "v1", chain);
      done.repositories.push({ name, chain: [...chain] });
    }
  } catch {
    return chain;
  }
}

describe("a server that is killed at any moment", () => {
  let registry: RegistryProcess;
  before(async function () {
    this.timeout(180_000);
    registry = await RegistryProcess.start();
  });
  after(async () => {
    await registry.remove();
  });

  it(`keeps what it acknowledged and serves nothing half, ${rounds} times or more`, async function () {
    this.timeout(1_800_000);
    const random = seededRandom(this);
    const done: Acknowledged = { images: [], repositories: [] };
    // A slow machine gets longer for each round, and it goes on until the pushers got something done.
    let longest = 250;
    for (let round = 0; round < rounds || done.images.length <= rounds / 4; round++) {
      if (done.images.length < round / 4) longest += 10;
      const client = registry.client();
      const before = { images: done.images.length, repositories: done.repositories.length };
      const pushing = Array.from({ length: pushers }, async (_, pusher) =>
        pushUntilKilled(client, `killed/r${round}-${pusher}`, done),
      );
      await new Promise((resolve) => setTimeout(resolve, random(longest)));
      await registry.kill();
      const chains = await Promise.all(pushing);
      await registry.restart();

      const last = new Map(done.repositories.slice(before.repositories).map(({ name, chain }) => [name, chain]));
      for (const image of done.images.slice(before.images)) await expectServed(client, image);
      for (const [name, chain] of last) {
        const tags = await client.expect([200], "GET", `/v1/repositories/${name}/tags`);
        const tagged = (JSON.parse(tags.body.toString()) as Record<string, string>)["v1"];
        const later = chains.flat().map(({ id }) => id);
        expect([chain.at(-1)!.id, ...later.slice(later.indexOf(chain.at(-1)!.id))]).to.include(tagged);
      }
      for (const image of chains.flat()) await expectWholeOrAbsent(client, image);
      const [broken] = chains.filter((chain) => chain.length > 0);
      if (broken) await client.push(`killed/retried-${round}`, "v1", broken);
    }
    for (const image of done.images) await expectServed(registry.client(), image);
    await registry.kill();
    await registry.restart();
    const temporaries = join(registry.store, "_registryctl", "tmp");
    await until("what was half written is removed", async () => {
      const entries = await readdir(temporaries, { recursive: true, withFileTypes: true });
      return entries.every((entry) => entry.isDirectory());
    });
    process.stderr.write(`      ${done.images.length} images acknowledged\n`);
    expect(done.images.length, "the pushers got something done").to.be.greaterThan(rounds / 4);
  });

  async function expectServed(client: V1Client, image: V1Image): Promise<void> {
    const json = await client.expect([200], "GET", `/v1/images/${image.id}/json`);
    expect(json.body.equals(image.json)).to.equal(true);
    const layer = await client.expect([200], "GET", `/v1/images/${image.id}/layer`);
    expect(layer.body.equals(await gathered(image.layer()))).to.equal(true);
  }

  async function expectWholeOrAbsent(client: V1Client, image: V1Image): Promise<void> {
    const json = await client.send("GET", `/v1/images/${image.id}/json`);
    if (json.status === 200) await expectServed(client, image);
    else expect([400, 404]).to.include(json.status);
  }
});
