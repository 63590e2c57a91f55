/*
 * A program for tests to kill: changes a local store in several lanes until it is stopped. Arguments: the folder, a seed,
 * the first number of new content. It prints a line `lane begin {change}` before and `lane end` after each change, and takes what the
 * store holds as the beginning.
 */
import { writeSync } from "node:fs";
import { openLocal } from "../../src/drivers/storage/local.ts";
import { randomFrom } from "./random.ts";
import { changed, contentBelow, makeChange, nextChange } from "./storage-history.ts";

const [folder = "", seed = "", start = ""] = process.argv.slice(2);
const driver = await openLocal(folder);
const random = randomFrom(Number(seed));
let number = Number(start);

await Promise.all(
  ["0", "1", "2", "3"].map(async (lane) => {
    let content = await contentBelow(driver, `lane-${lane}`);
    for (;;) {
      const change = nextChange(content, `lane-${lane}`, number++, random);
      writeSync(1, `${lane} begin ${JSON.stringify(change)}\n`);
      await makeChange(driver, change);
      writeSync(1, `${lane} end\n`);
      content = changed(content, change);
    }
  }),
);
