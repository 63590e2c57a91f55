import type { Context } from "mocha";
import { openS3 } from "../../../../src/drivers/storage/s3.ts";
import { RadosGateway } from "../../../support/radosgw.ts";
import { s3Settings, type S3Server } from "../../../support/s3-server.ts";
import { describeStorage } from "../../../support/storage-conformance.ts";
import { SwiftServer } from "../../../support/swift.ts";

interface Dialect {
  readonly start: (context: Context) => Promise<S3Server>;
  /** Entries in a page. */
  readonly pageSize: number;
  readonly many: number;
}

const dialects: Readonly<Record<string, Dialect>> = {
  "s3 on Ceph": { start: async (context) => await RadosGateway.start(context), pageSize: 1_000, many: 1_117 },
  // It takes thirty times as long to store an object: fewer of them, in smaller pages.
  "s3 on Swift": { start: async (context) => await SwiftServer.start(context), pageSize: 20, many: 53 },
};

for (const [name, { start, pageSize, many }] of Object.entries(dialects)) {
  let server: S3Server | undefined;
  describeStorage(
    name,
    async (context) => {
      server = await start(context);
      return await openS3(s3Settings(server, await server.newBucket()), { pageSize });
    },
    async () => {
      await server?.stop();
    },
    { many },
  );
}
