import { describeRegistryInBucket } from "../support/bucket-registry.ts";
import { gateSettings, GoogleGate } from "../support/gcs-gate.ts";
import { GoogleServer, googleSettings } from "../support/gcs-server.ts";

const linesOf = (settings: object): readonly string[] =>
  Object.entries(settings).map(([key, value]) => `${key}: ${String(value)}`);

describeRegistryInBucket("a registry on gcs with HMAC keys", async (context, atEnd) => {
  const server = await GoogleGate.start(context);
  atEnd(() => server.stop());
  return { flavor: linesOf(gateSettings(server, await server.newBucket())), port: server.port };
});

describeRegistryInBucket("a registry on gcs with a service account", async (_context, atEnd) => {
  const server = await GoogleServer.start();
  atEnd(() => server.stop());
  const { bucket, account } = await server.newStore();
  return { flavor: linesOf(googleSettings(server, bucket, account)), port: server.port };
});
