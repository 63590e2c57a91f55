import { createHash } from "node:crypto";
import type { Context } from "mocha";
import { describeStorage } from "../../../../src/drivers/storage/conformance.ts";
import type { LayerKeys } from "../../../../src/drivers/storage/layer-keys.ts";
import { GlanceCloud, layersWhere } from "../../../support/glance-store.ts";

const place = (key: string): number => createHash("md5").update(key).digest().readUInt8() % 4;
const everyOther = (key: string): boolean => place(key) % 2 === 1;

describeGlance("with a folder", (context) => GlanceCloud.start(context), {
  "glance, every object an image,": layersWhere(() => true),
  "glance, every other object an image, and half of the others to become one,": layersWhere(
    everyOther,
    (key) => place(key) === 2,
  ),
});
describeGlance("with Swift", (context) => GlanceCloud.startWithSwift(context), {
  "glance, every other object an image, the others in Swift,": layersWhere(everyOther),
});

function describeGlance(
  name: string,
  start: (context: Context) => Promise<GlanceCloud>,
  places: Readonly<Record<string, LayerKeys>>,
): void {
  describe(`glance on a real server, ${name}`, function () {
    this.timeout(600_000);
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

    for (const [name, keys] of Object.entries(places)) {
      const open = async () => await cloud.open({ keys, short: 2, pageSize: 12 });
      describeStorage(name, open, undefined, { many: 29, timeout: 300_000 });
    }
  });
}
