import { alone, amongStrangers } from "../../../src/drivers/storage/coherence.ts";
import { openLocal } from "../../../src/drivers/storage/local.ts";
import { openMemory } from "../../../src/drivers/storage/memory.ts";
import { remembered } from "../../../src/drivers/storage/remembered.ts";
import { removeFolder, temporaryFolder } from "../../support/program.ts";
import { describeStorage } from "../../support/storage-conformance.ts";

const everything = { admits: () => "content" as const, folders: [""] };
const inMemory = { inMemory: true };

describeStorage(
  "remembered memory",
  async () => await Promise.resolve(remembered(openMemory(), alone, everything)),
  undefined,
  inMemory,
);

describeStorage(
  "memory of which a few objects and lists are remembered",
  async () => await Promise.resolve(remembered(openMemory(), alone, { ...everything, objectBytes: 1_000, names: 40 })),
  undefined,
  inMemory,
);

describeStorage(
  "memory that strangers may change",
  async () => await Promise.resolve(remembered(openMemory(), amongStrangers, everything)),
  undefined,
  inMemory,
);

let folder: string | undefined;

describeStorage(
  "remembered local",
  async () => remembered(await openLocal((folder = await temporaryFolder())), alone, everything),
  async () => {
    await removeFolder(folder);
  },
);
