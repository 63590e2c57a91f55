import type { Context } from "mocha";
import { openSwift } from "../../../../src/drivers/storage/swift.ts";
import { describeStorage } from "../../../support/storage-conformance.ts";
import { startCeph, startSwift, startSwiftWithKeystone, type SwiftCloud } from "../../../support/swift-cloud.ts";

interface Dialect {
  readonly start: (context: Context) => Promise<SwiftCloud>;
  /** Entries in a page. */
  readonly pageSize: number;
  readonly many: number;
}

const dialects: Readonly<Record<string, Dialect>> = {
  "swift on Swift": { start: startSwift, pageSize: 20, many: 53 },
  // The server refuses to list more at once.
  "swift on Swift with Keystone": {
    start: async (context) => await startSwiftWithKeystone(context, { listingLimit: 20 }),
    pageSize: 10_000,
    many: 53,
  },
  // Its pages have a thousand at most, whatever is asked for.
  "swift on Ceph": { start: startCeph, pageSize: 10_000, many: 1_117 },
};

for (const [name, { start, pageSize, many }] of Object.entries(dialects)) {
  let cloud: SwiftCloud | undefined;
  describeStorage(
    name,
    async (context) => {
      cloud = await start(context);
      return await openSwift(cloud.settings(), { pageSize });
    },
    async () => {
      await cloud?.stop();
    },
    { many },
  );
}
