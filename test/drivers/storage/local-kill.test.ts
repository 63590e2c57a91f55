import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import { openLocal } from "../../../src/drivers/storage/local.ts";
import { compiled } from "../../support/compiled.ts";
import { Program, removeFolder, temporaryFolder, until } from "../../support/program.ts";
import { seededRandom } from "../../support/random.ts";
import { changed, contentBelow, sameContent, type Change, type Content } from "../../support/storage-history.ts";

const writer = new URL("../../support/storage-writer.ts", import.meta.url);
const rounds = 50;
const lanes = ["0", "1", "2", "3"];

/** What the program said of one lane: what was surely done, and what it was about to do when it was killed. */
function replay(output: string, lane: string, before: Content): { readonly done: Content; readonly begun?: Change } {
  let done = before;
  let begun: Change | undefined;
  for (const line of output.split("\n")) {
    if (line.startsWith(`${lane} begin `)) begun = JSON.parse(line.slice(8)) as Change;
    if (line === `${lane} end` && begun) {
      done = changed(done, begun);
      begun = undefined;
    }
  }
  return { done, ...(begun && { begun }) };
}

describe("local storage whose process is killed", function () {
  this.timeout(600_000);

  it("has all that was acknowledged, nothing by halves, and no leftovers", async function () {
    const random = seededRandom(this);
    const folder = await temporaryFolder("local-kill");
    let contents = new Map<string, Content>(lanes.map((lane) => [lane, new Map()]));
    let [acknowledged, leftovers, unfinished] = [0, 0, 0];
    try {
      for (let round = 0; round < rounds; round++) {
        const seed = String(random(2 ** 30));
        const program = new Program(process.execPath, [...compiled(writer), folder, seed, String(round * 100_000 + 1)]);
        const lines = 10 + random(80);
        await until("the writer to have come far enough", () => {
          if (!program.running) throw new Error(program.output);
          return program.output.split("\n").length > lines;
        });
        // Between two lines of output there are many steps: the kill shall meet any of them.
        for (let turns = random(30); turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve));
        await program.stop("SIGKILL");
        leftovers += (await readdir(join(folder, "_registryctl/tmp"), { recursive: true })).length - 1;

        const store = await openLocal(folder);
        const next = new Map<string, Content>();
        for (const lane of lanes) {
          const { done, begun } = replay(program.output, lane, contents.get(lane) ?? new Map());
          const found = await contentBelow(store, `lane-${lane}`);
          const possible = begun ? [done, changed(done, begun)] : [done];
          expect(
            possible.some((content) => sameContent(content, found)),
            explain(round, lane, possible, found),
          ).to.be.true;
          next.set(lane, found);
          acknowledged += program.output.split(`${lane} end`).length - 1;
          if (begun) unfinished += 1;
        }
        contents = next;
        await store.close();
        expect(await readdir(join(folder, "_registryctl/tmp"))).to.deep.equal([]);
      }
    } finally {
      await removeFolder(folder);
    }
    process.stderr.write(
      `      ${acknowledged} changes acknowledged, ${unfinished} interrupted, ${leftovers} temporaries removed\n`,
    );
    expect(unfinished).to.be.greaterThan(rounds);
    expect(leftovers).to.be.greaterThan(0);
  });
});

function explain(round: number, lane: string, possible: readonly Content[], found: Content): string {
  const shown = possible.map((content) => JSON.stringify([...content].sort())).join(" or ");
  return `round ${round}, lane ${lane}: expected ${shown}, found ${JSON.stringify([...found].sort())}`;
}
