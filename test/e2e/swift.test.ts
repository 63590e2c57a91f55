import { describeRegistryInBucket } from "../support/bucket-registry.ts";
import { startCeph, startSwift, startSwiftWithKeystone, type SwiftCloud } from "../support/swift-cloud.ts";

const linesOf = (cloud: SwiftCloud): readonly string[] =>
  Object.entries({ storage: "swift", ...cloud.settings() }).map(([key, value]) => `${key}: ${JSON.stringify(value)}`);

const clouds = {
  "Swift with its own users": startSwift,
  "Swift with Keystone": startSwiftWithKeystone,
  "Ceph by Swift's protocol": startCeph,
};

for (const [name, start] of Object.entries(clouds)) {
  describeRegistryInBucket(
    `a registry on ${name}`,
    async (context, atEnd) => {
      const cloud = await start(context);
      atEnd(() => cloud.stop());
      return { flavor: linesOf(cloud), port: cloud.port };
    },
    { large: start !== startSwiftWithKeystone },
  );
}
