/* A thread for tests: a cluster that the one who started it knows by its addresses, until it is told to end. */
import { parentPort, workerData } from "node:worker_threads";
import { startElliptics } from "./index.ts";
import type { ApartOptions } from "./apart.ts";

const { split, ...options } = workerData as ApartOptions;
const cluster = await startElliptics(options);
if (split) cluster.faults.split = split;
parentPort?.postMessage({ addresses: cluster.addresses, groups: cluster.groups });
parentPort?.once("message", () => {
  void cluster.close().then(() => {
    parentPort?.postMessage(cluster.violations);
    parentPort?.close();
  });
});
