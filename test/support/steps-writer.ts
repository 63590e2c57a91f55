/*
 * A program for tests that watch its system calls: writes objects in steps to a local store. Arguments: the folder, and `ordered` or
 * `unordered`, which its disk is taken for. It prints a line when it begins and one when all was answered; first it makes
 * what is there before.
 */
import { writeSync } from "node:fs";
import type { SmallObject } from "../../src/drivers/storage/driver.ts";
import { openLocal } from "../../src/drivers/storage/local.ts";

const [folder = "", disk = ""] = process.argv.slice(2);
const driver = await openLocal(folder, 0, { has: async () => await Promise.resolve(disk === "ordered") });
const object = (key: string): SmallObject => ({ key, bytes: Buffer.from(`of ${key}`) });

await driver.writeInSteps?.([[object("blobs/there/data")], [object("tags/current/link")]]);
writeSync(1, "begun\n");
await driver.writeInSteps?.([
  [object("blobs/new/data")],
  [object("revisions/new/link")],
  [object("tags/index/new/link"), object("tags/current/link")],
]);
writeSync(1, "answered\n");
