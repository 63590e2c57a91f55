import { existsSync } from "node:fs";
import { readdir, readFile, rm, rmdir, stat, truncate, utimes, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "chai";
import { undisputed } from "../../../src/drivers/storage/claim.ts";
import { decodeHeader, decodeRecords, encodeHeader } from "../../../src/drivers/storage/local/journal/records.ts";
import { openLocal } from "../../../src/drivers/storage/local.ts";
import { Program, removeFolder, temporaryFolder, until } from "../../support/program.ts";
import { seededRandom, type Random } from "../../support/random.ts";
import { changed, contentBelow, sameContent, type Change, type Content } from "../../support/storage-history.ts";

const writer = fileURLToPath(new URL("../../support/storage-writer.ts", import.meta.url));
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

/** What happens to the store after its process was killed, and how it is opened then. */
interface Fate {
  readonly what: string;
  readonly way: "plain" | "journal";
  readonly rounds: number;
  readonly strike?: (folder: string, random: Random) => Promise<number>;
}

const fates: readonly Fate[] = [
  { what: "whose process is killed", way: "plain", rounds: 50 },
  { what: "with a journal whose process is killed", way: "journal", rounds: 25 },
  { what: "with a journal whose machine loses its power", way: "journal", rounds: 50, strike: losePower },
];

for (const { what, way, rounds, strike } of fates) {
  describe(`local storage ${what}`, function () {
    this.timeout(300_000);

    it("has all that was acknowledged, nothing by halves, and no leftovers", async function () {
      const random = seededRandom(this);
      const folder = await temporaryFolder("local-kill");
      const tenure = way === "journal" ? { claim: undisputed, isSole: true } : undefined;
      let contents = new Map<string, Content>(lanes.map((lane) => [lane, new Map()]));
      let [acknowledged, leftovers, unfinished, lost] = [0, 0, 0, 0];
      try {
        for (let round = 0; round < rounds; round++) {
          const args = [folder, String(random(2 ** 30)), String(round * 100_000 + 1), way];
          const program = new Program(process.execPath, ["--import=tsx", writer, ...args]);
          const lines = 10 + random(80);
          await until("the writer to have come far enough", () => {
            if (!program.running) throw new Error(program.output);
            return program.output.split("\n").length > lines;
          });
          // Between two lines of output there are many steps: the kill shall meet any of them.
          for (let turns = random(30); turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve));
          await program.stop("SIGKILL");
          leftovers += (await readdir(join(folder, "_registryctl/tmp"), { recursive: true })).length - 1;
          lost += (await strike?.(folder, random)) ?? 0;

          const store = await openLocal(folder, 0, tenure);
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
          expect(await readdir(join(folder, "_registryctl/journal")).catch(() => [])).to.deep.equal([]);
        }
      } finally {
        await removeFolder(folder);
      }
      const counts = `${acknowledged} changes acknowledged, ${unfinished} interrupted, ${leftovers} temporaries removed`;
      process.stderr.write(`      ${counts}${strike ? `, ${lost} files lost` : ""}\n`);
      expect(unfinished).to.be.greaterThan(rounds);
      expect(leftovers).to.be.greaterThan(0);
      if (strike) expect(lost).to.be.greaterThan(rounds);
    });
  });
}

/**
 * Takes from the store what no sync has brought to the disk: of the objects that the journal still answers for, each may be
 * as it is, empty, of other bytes, or not there, nor its folders. The machine has another start then. Answers how many
 * objects were harmed.
 */
async function losePower(folder: string, random: Random): Promise<number> {
  const last = new Map<string, boolean>();
  for (const { bytes, header, path } of await segmentsIn(join(folder, "_registryctl/journal"))) {
    for (const { key, content } of decodeRecords(bytes, header.id)) last.set(key, content !== undefined);
    encodeHeader({ ...header, boot: "another" }).copy(bytes);
    await writeFile(path, bytes);
  }
  let lost = 0;
  for (const [key] of [...last].filter(([, isLive]) => isLive)) {
    const path = join(folder, key);
    const fate = random(4);
    if (fate === 0 || !existsSync(path)) continue;
    lost += 1;
    const { atime, mtime } = await stat(path);
    if (fate === 1) await truncate(path);
    if (fate === 2) await writeFile(path, Buffer.alloc(random(5_000), "?"));
    // The disk got to know of no later time.
    await utimes(path, atime, mtime);
    if (fate === 3) await removeWithFolders(path, folder);
  }
  return lost;
}

async function segmentsIn(journal: string) {
  const names = await readdir(journal).catch(() => []);
  const segments = await Promise.all(
    names.map(async (name) => {
      const path = join(journal, name);
      const bytes = await readFile(path);
      const header = decodeHeader(bytes);
      return header ? [{ path, bytes, header }] : [];
    }),
  );
  return segments.flat().sort((a, b) => a.header.serial - b.header.serial);
}

async function removeWithFolders(path: string, root: string): Promise<void> {
  await rm(path);
  for (let folder = dirname(path); folder !== root; folder = dirname(folder)) {
    if ((await readdir(folder)).length > 0) return;
    await rmdir(folder);
  }
}

function explain(round: number, lane: string, possible: readonly Content[], found: Content): string {
  const shown = possible.map((content) => JSON.stringify([...content].sort())).join(" or ");
  return `round ${round}, lane ${lane}: expected ${shown}, found ${JSON.stringify([...found].sort())}`;
}
