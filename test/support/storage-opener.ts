/* A program for tests: opens the local store in the folder that is its argument, waits until it has cleaned up, and ends. */
import { openLocal } from "../../src/drivers/storage/local.ts";

const store = await openLocal(process.argv[2] ?? "");
await store.close();
