import { expect } from "chai";
import { describeRegistryInBucket } from "../support/bucket-registry.ts";
import { GlanceCloud } from "../support/glance-store.ts";
import { smallChain } from "../support/v1-images.ts";

let cloud: GlanceCloud;

describeRegistryInBucket(
  "a registry on glance, with a folder for all but layers",
  async (context, atEnd) => {
    cloud = await GlanceCloud.start(context);
    atEnd(() => cloud.stop());
    const settings = { storage: "glance", storage_path: await cloud.folder(), ...cloud.settings() };
    return { flavor: Object.entries(settings).map(([key, value]) => `${key}: ${value}`), port: cloud.glance.port };
  },
  (registry) => {
    it("names its images by what they are, and has no other file of a layer", async () => {
      const client = registry().client();
      await client.push("named/app", "latest", await smallChain(2));
      const names = (await cloud.images()).map(({ properties }) => properties["name"]);
      expect(names).to.have.length.above(2);
      for (const name of names) expect(name).to.match(/^sha256:[0-9a-f]{64}$/);
      expect(await cloud.glance.storedFiles()).to.equal(names.length);
    });
  },
  false,
);
