import { openMemory } from "../../../src/drivers/storage/memory.ts";
import { describeStorage } from "../../support/storage-conformance.ts";

describeStorage("memory", async () => await Promise.resolve(openMemory()), undefined, { inMemory: true });
