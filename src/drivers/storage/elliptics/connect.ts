import type { StorageDriver } from "../driver.ts";
import { DriverError } from "../errors.ts";
import { claimTimes, type ClaimTimes } from "./claims.ts";
import { Cluster } from "./cluster.ts";
import { logLevels, openEventLog } from "./event-log.ts";
import { Groups } from "./groups.ts";
import { Objects } from "./objects.ts";
import { nodeFlag, type EllipticsSettings } from "./options.ts";
import { parseRemote } from "./remotes.ts";
import { EllipticsStorage } from "./storage.ts";

/** What the driver works with beside what the operator says. Times in milliseconds; tests choose others. */
export interface EllipticsTuning {
  /** How long an answer is waited for, instead of what the operator says. */
  readonly patience?: number;
  /** The first and the longest wait before a node that was lost is connected to again. */
  readonly pauses: { readonly shortest: number; readonly longest: number };
  /** Removes what killed processes left. */
  readonly cleansUp: boolean;
  /** How long other processes are kept from a key that one writes. */
  readonly claims: ClaimTimes;
}

const usual: EllipticsTuning = { pauses: { shortest: 100, longest: 5_000 }, cleansUp: true, claims: claimTimes };

/** How often the store is looked through for what was left, and how old that is at least, in milliseconds. */
const rounds = 3_600_000;
const old = 24 * 3_600_000;

/** See `openElliptics`. */
export async function connectElliptics(
  settings: EllipticsSettings,
  tuning: Partial<EllipticsTuning>,
): Promise<StorageDriver> {
  const { patience, pauses, cleansUp, claims } = { ...usual, ...tuning };
  const { elliptics_nodes: nodes = [], elliptics_verbosity: verbosity, elliptics_node_flags: flags } = settings;
  const remotes = nodes.flatMap((text) => parseRemote(text, settings.elliptics_addr_family) ?? []);
  if (remotes.length === 0) throw new DriverError("REFUSED", "elliptics_nodes names no node");
  const level = typeof verbosity === "string" ? verbosity : (logLevels[verbosity] ?? "error");
  const log = openEventLog(settings.elliptics_logfile, level);
  log.log(
    "info",
    "elliptics_io_thread_num, elliptics_net_thread_num and elliptics_nonblocking_io_thread_num are not used",
  );
  const cluster = new Cluster({
    remotes,
    wait: patience ?? settings.elliptics_wait_timeout * 1_000,
    check: settings.elliptics_check_timeout * 1_000,
    pauses,
    asksRoutes: (flags & nodeFlag.noRouteList) === 0,
    log,
  });
  const { elliptics_namespace: namespace, elliptics_groups: groups } = settings;
  const mixes = (flags & nodeFlag.mixStates) !== 0;
  const driver = new EllipticsStorage(cluster, new Objects(cluster, new Groups(groups), { namespace, mixes }), claims);
  await cluster.start();
  const cleanUp = (): void => {
    driver.removeLeftovers(Date.now() - old).catch((error: unknown) => {
      log.log("notice", `what was left could not be removed: ${String(error)}`);
    });
  };
  const timer = cleansUp ? setInterval(cleanUp, rounds) : undefined;
  timer?.unref();
  if (cleansUp) setImmediate(cleanUp);
  const close = driver.close.bind(driver);
  return Object.assign(driver, {
    close: async () => {
      clearInterval(timer);
      await close();
      log.close();
    },
  });
}
