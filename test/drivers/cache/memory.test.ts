import { openMemoryCache } from "../../../src/drivers/cache/memory.ts";
import { describeCache } from "../../support/cache-conformance.ts";

describeCache("memory", async () => {
  const cache = await Promise.resolve(openMemoryCache());
  return [cache, cache];
});
