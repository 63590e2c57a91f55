import { expect } from "chai";
import type { Context } from "mocha";
import { describeRegistryInBucket } from "../support/bucket-registry.ts";
import { GlanceCloud } from "../support/glance-store.ts";
import { until } from "../support/program.ts";
import { smallChain } from "../support/v1-images.ts";

let cloud: GlanceCloud;

const alternates = {
  "a folder": { start: (context: Context) => GlanceCloud.start(context), path: () => cloud.folder() },
  Swift: { start: (context: Context) => GlanceCloud.startWithSwift(context), path: () => "/registry" },
};

for (const [alternate, { start, path }] of Object.entries(alternates))
  describeRegistryInBucket(
    `a registry on glance, with ${alternate} for all but layers`,
    async (context, atEnd) => {
      cloud = await start(context);
      atEnd(() => cloud.stop());
      const settings = { storage: "glance", ...cloud.settings(), storage_path: await path() };
      return {
        flavor: Object.entries(settings).map(([key, value]) => `${key}: ${JSON.stringify(value)}`),
        port: cloud.glance.port,
      };
    },
    {
      redirects: false,
      large: alternate !== "Swift",
      more: (registry) => {
        it("names its images by what they are, and has no other file of a layer", async () => {
          const client = registry().client();
          await client.push("named/app", "latest", await smallChain(2));
          // What was written before may still be under way to its name, or its image's file to the end.
          await until("a file for each image", async () => {
            const names = (await cloud.images()).map(({ properties }) => properties["name"]);
            expect(names).to.have.length.above(2);
            for (const name of names) expect(name).to.match(/^sha256:[0-9a-f]{64}$/);
            expect(await cloud.glance.storedFiles()).to.equal(names.length);
            return true;
          });
        });
      },
    },
  );
