import { expect } from "chai";
import { openElliptics } from "../../../../src/drivers/storage/elliptics.ts";
import { fuzzed } from "../../../support/elliptics/faults.ts";
import { startElliptics } from "../../../support/elliptics/index.ts";
import { updateOf } from "../../../support/elliptics/node.ts";
import { ellipticsSettings, quickTuning } from "../../../support/elliptics/settings.ts";
import { until } from "../../../support/program.ts";
import { seededRandom } from "../../../support/random.ts";
import { bufferBytes, bytesOf, keysOf, outcome, put, repeated, textOf } from "../../../support/storage-content.ts";

const mebibyte = 1_048_576;
const rounds = 100;
const block = Buffer.alloc(65_536, "fuzz ");

describe("elliptics among servers that answer anything", function () {
  this.timeout(300_000);

  for (const layout of ["one", "three"] as const) {
    it(`fails or works, and goes on, in a cluster of the layout "${layout}"`, async function () {
      const random = seededRandom(this);
      const cluster = await startElliptics({ layout, seed: random(2 ** 31) });
      const calm = await openElliptics(ellipticsSettings(cluster));
      const keys = Array.from({ length: 6 }, (_, index) => `fuzz/${index}`);
      for (const key of keys) await put(calm, key, `content of ${key}`);
      await calm.write("large", repeated(block, 2 * mebibyte), 2 * mebibyte);
      await calm.close();
      const driver = await openElliptics(ellipticsSettings(cluster), { ...quickTuning, patience: 120 });
      const works = async (): Promise<boolean> => (await outcome(driver.ping())) === "done";
      const held = bufferBytes();
      const work: readonly ((key: string) => Promise<unknown>)[] = [
        async (key) => await driver.stat(key),
        async (key) => await bytesOf(driver, key),
        async () => await bytesOf(driver, "large"),
        async () => await keysOf(driver, "fuzz"),
        async () => { await put(driver, "other/key", "x"); },
        async () => { await driver.copy("other/key", "other/copy"); },
        async () => { await driver.delete("other/key"); },
        async () => { await driver.write("other/large", repeated(block, mebibyte + 1), mebibyte + 1); },
      ]; // prettier-ignore
      const seen = new Map<string, number>();
      for (let round = 0; round < rounds; round++) {
        const command = (["REVERSE_LOOKUP", "ROUTE_LIST"] as const)[random(6)];
        cluster.faults.fuzz(random(2 ** 31), { skip: random(4), times: 1 + random(6), ...(command && { command }) });
        if (command) for (const node of cluster.nodes) node.cutAll();
        for (const node of cluster.nodes) {
          if (random(10) !== 0) continue;
          for (const wrong of fuzzed(updateOf(node.backends), random)) await node.tell(wrong);
        }
        const results = await Promise.all(
          Array.from({ length: 3 }, () => outcome(work[random(work.length)]!(keys[random(keys.length)]!))),
        );
        for (const result of results) seen.set(result, (seen.get(result) ?? 0) + 1);
        cluster.faults.calm();
        // What it was told wrong of backends is right again with a new connection.
        for (const node of cluster.nodes) node.cutAll();
        await until("it works again", works);
      }
      process.stderr.write(`      ${[...seen].map(([result, count]) => `${count} ${result}`).join(", ")}\n`);
      expect(seen.get("UNAVAILABLE")).to.be.greaterThan(rounds / 4);
      for (const key of keys) expect(await textOf(driver, key)).to.equal(`content of ${key}`);
      expect((await keysOf(driver, "fuzz")).sort()).to.deep.equal(keys);
      await driver.close();
      await until("all connections are closed", () => cluster.connections === 0);
      await cluster.close();
      await until("the buffers are free", () => bufferBytes() - held < 8 * mebibyte);
      cluster.check();
    }); // prettier-ignore
  }
});
