import { createHash } from "node:crypto";
import { describeStorage } from "../../../../src/drivers/storage/conformance.ts";
import { GlanceCloud, layersWhere } from "../../../support/glance-store.ts";

const places: Readonly<Record<string, (key: string) => boolean>> = {
  "glance, every object an image,": () => true,
  "glance, every other object an image,": (key) => createHash("md5").update(key).digest().readUInt8() % 2 === 1,
};

describe("glance on a real server", function () {
  this.timeout(300_000);
  let cloud: GlanceCloud;

  before(async function () {
    cloud = await GlanceCloud.start(this);
  });

  // Listings look through all images: those of other tests would only slow them.
  afterEach(async () => {
    await cloud.clear();
  });

  after(async () => {
    await cloud.stop();
  });

  for (const [name, isLayer] of Object.entries(places)) {
    const open = async () => await cloud.open({ keys: layersWhere(isLayer), pageSize: 12 });
    describeStorage(name, open, undefined, { many: 29, timeout: 300_000 });
  }
});
