import { createHash } from "node:crypto";
import type { Context } from "mocha";
import { describeStorage } from "../../../../src/drivers/storage/conformance.ts";
import { GlanceCloud, layersWhere } from "../../../support/glance-store.ts";

const everyOther = (key: string): boolean => createHash("md5").update(key).digest().readUInt8() % 2 === 1;

describeGlance("with a folder", (context) => GlanceCloud.start(context), {
  "glance, every object an image,": () => true,
  "glance, every other object an image,": everyOther,
});
describeGlance("with Swift", (context) => GlanceCloud.startWithSwift(context), {
  "glance, every other object an image, the others in Swift,": everyOther,
});

function describeGlance(
  name: string,
  start: (context: Context) => Promise<GlanceCloud>,
  places: Readonly<Record<string, (key: string) => boolean>>,
): void {
  describe(`glance on a real server, ${name}`, function () {
    this.timeout(300_000);
    let cloud: GlanceCloud;

    before(async function () {
      cloud = await start(this);
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
}
