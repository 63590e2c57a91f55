import { randomUUID } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Claim } from "../../src/drivers/storage/claim.ts";
import { claimFolder } from "../../src/drivers/storage/local/claim.ts";
import { randomFrom, type Random } from "./random.ts";

/**
 * A program for tests of claims: claims the folder that is its argument and releases it as its parent says, and tells it
 * whether the claim is exclusive, now and whenever that changes. `storm` lets it come and go and change a file many times.
 */
const [folder = ""] = process.argv.slice(2);
let held: Claim | undefined;

process.on("message", (message: { command: string; seed: number }) => {
  void obey(message.command, randomFrom(message.seed));
});
process.on("disconnect", () => process.exit());
tell({ ready: true });

async function obey(command: string, random: Random): Promise<void> {
  if (command === "claim") {
    held = await claimFolder(folder, { group: randomUUID(), slot: 0 });
    held.onChange((isExclusive) => {
      tell({ isExclusive });
    });
    tell({ claimed: true, isExclusive: held.isExclusive });
  }
  if (command === "release") {
    await held?.release();
    tell({ released: true });
  }
  if (command === "storm") {
    let remembered = 0;
    for (let turn = 0; turn < 60; turn++) {
      remembered += await visit(random);
      await delay(random(20));
    }
    tell({ remembered });
  }
}

/**
 * Works on the file `value` for a while, as one that remembers does, and answers how often it could rely on its memory.
 * Tells the parent when another has changed what it was allowed to remember.
 */
async function visit(random: Random): Promise<number> {
  const file = join(folder, "..", "value");
  const claim = await claimFolder(folder, { group: randomUUID(), slot: 0 });
  let memory: string | undefined;
  let watches = 0;
  let relied = 0;
  claim.onChange(() => {
    memory = undefined;
    watches += 1;
  });
  for (let step = 0; step < 8; step++) {
    if (random(10) < 3) {
      memory = undefined;
      watches += 1;
      await writeFile(file, randomUUID());
    }
    const [before, known, mayRemember] = [watches, memory, claim.isExclusive];
    const found = await readFile(file, "utf8");
    if (before !== watches) continue;
    if (known !== undefined) {
      relied += 1;
      if (known !== found) tell({ stale: `remembers ${known}, but it is ${found}` });
    } else if (mayRemember) memory = found;
    await delay(random(3));
  }
  await claim.release();
  return relied;
}

function tell(message: object): void {
  process.send?.(message);
}
