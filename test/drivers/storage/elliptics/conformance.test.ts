import { openElliptics } from "../../../../src/drivers/storage/elliptics.ts";
import { startEllipticsApart, type ApartCluster } from "../../../support/elliptics/apart.ts";
import { ellipticsSettings } from "../../../support/elliptics/settings.ts";
import { describeStorage } from "../../../support/storage-conformance.ts";

for (const layout of ["one", "two", "ring"] as const) {
  let cluster: ApartCluster | undefined;
  describeStorage(
    `elliptics on a cluster of the layout "${layout}"`,
    async () => {
      cluster = await startEllipticsApart({ layout, split: "randomly" });
      return await openElliptics(ellipticsSettings(cluster));
    },
    async () => {
      await cluster?.close();
    },
    { many: 60 },
  );
}
