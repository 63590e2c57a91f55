import { openElliptics } from "../../../src/drivers/storage/elliptics.ts";
import type { StorageDriver } from "../../../src/drivers/storage/driver.ts";
import { endOfSuite } from "../end-of-suite.ts";
import { until } from "../program.ts";
import { startElliptics, type EllipticsCluster, type EllipticsOptions } from "./index.ts";
import { ellipticsSettings, quickTuning } from "./settings.ts";

/** A cluster, and a driver that is open on it. */
export interface EllipticsStage {
  readonly cluster: EllipticsCluster;
  readonly driver: StorageDriver;
}

/**
 * Starts a cluster for a suite, and opens a driver on it; call it in the body of a `describe`. After each test the cluster is
 * whole again, and what came was sound.
 */
export function ellipticsStage(options: EllipticsOptions): EllipticsStage {
  let stage: EllipticsStage | undefined;
  const atEnd = endOfSuite();
  const started = (): EllipticsStage => {
    if (!stage) throw new Error("the cluster is not started");
    return stage;
  };
  before(async () => {
    const cluster = await startElliptics(options);
    atEnd(() => cluster.close());
    const driver = await openElliptics(ellipticsSettings(cluster), quickTuning);
    atEnd(() => driver.close());
    stage = { cluster, driver };
  });
  afterEach(async () => {
    const { cluster } = started();
    cluster.faults.calm();
    for (const node of cluster.nodes) if (!node.isRunning) await node.start();
    await settled(started());
    cluster.check();
  });
  return {
    get cluster() {
      return started().cluster;
    },
    get driver() {
      return started().driver;
    },
  };
}

/** Waits until the driver has found back to all nodes. */
export async function settled({ cluster, driver }: EllipticsStage): Promise<void> {
  await until("all nodes are connected", async () => {
    await driver.ping();
    return cluster.nodes.every(({ connections }) => connections > 0);
  });
}
