import type { Context } from "mocha";
import { openGcs } from "../../../../src/drivers/storage/gcs.ts";
import type { StorageDriver } from "../../../../src/drivers/storage/driver.ts";
import { gateSettings, GoogleGate } from "../../../support/gcs-gate.ts";
import { GoogleServer, googleSettings } from "../../../support/gcs-server.ts";
import { describeStorage } from "../../../support/storage-conformance.ts";

interface Opened {
  readonly server: { stop(): Promise<void> };
  readonly driver: StorageDriver;
}

async function byKeys(context: Context): Promise<Opened> {
  const server = await GoogleGate.start(context);
  return { server, driver: await openGcs(gateSettings(server, await server.newBucket())) };
}

async function byTokens(): Promise<Opened> {
  const server = await GoogleServer.start();
  const { bucket, account } = await server.newStore();
  return { server, driver: await openGcs(googleSettings(server, bucket, account)) };
}

for (const [name, open] of [
  ["gcs with HMAC keys", byKeys],
  ["gcs with a service account", byTokens],
] as const) {
  let opened: Opened | undefined;
  describeStorage(
    name,
    async (context) => {
      opened = await open(context);
      return opened.driver;
    },
    async () => {
      await opened?.server.stop();
    },
    { oneLine: true },
  );
}
