import type { Context } from "mocha";
import { openS3 } from "../../../../src/drivers/storage/s3.ts";
import { RadosGateway } from "../../../support/radosgw.ts";
import { s3Settings, type S3Server } from "../../../support/s3-server.ts";
import { describeStorage } from "../../../support/storage-conformance.ts";
import { SwiftServer } from "../../../support/swift.ts";

const servers: readonly [name: string, start: (context: Context) => Promise<S3Server>][] = [
  ["s3 on Ceph", async (context) => await RadosGateway.start(context)],
  ["s3 on Swift", async (context) => await SwiftServer.start(context)],
];

for (const [name, start] of servers) {
  let server: S3Server | undefined;
  describeStorage(
    name,
    async (context) => {
      server = await start(context);
      return await openS3(s3Settings(server, await server.newBucket()));
    },
    async () => {
      await server?.stop();
    },
  );
}
