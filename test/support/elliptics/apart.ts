import { randomInt } from "node:crypto";
import { once } from "node:events";
import { startThread } from "../../../src/server/thread.ts";
import type { Faults } from "./faults.ts";
import type { EllipticsCluster, EllipticsOptions } from "./index.ts";

/** What a cluster in a thread of its own is made with. */
export interface ApartOptions extends EllipticsOptions {
  readonly split?: Faults["split"];
}

/** A cluster in a thread of its own, for tests of memory. */
export interface ApartCluster extends Pick<EllipticsCluster, "addresses" | "groups"> {
  /** Ends it; rejects when something came that no sound client sends. */
  close(): Promise<void>;
}

/** Starts a cluster whose memory is not that of the test, and says what repeats its choices. */
export async function startEllipticsApart(options: ApartOptions): Promise<ApartCluster> {
  const seed = options.seed ?? randomInt(2 ** 31);
  process.stderr.write(`      elliptics ${options.layout}: seed ${seed}\n`);
  const worker = startThread("elliptics", new URL("./thread.ts", import.meta.url), {
    workerData: { ...options, seed },
  });
  const next = async (): Promise<unknown> => ((await once(worker, "message")) as readonly unknown[])[0];
  const place = (await next()) as Pick<EllipticsCluster, "addresses" | "groups">;
  return {
    ...place,
    close: async () => {
      const told = next();
      worker.postMessage("end");
      const violations = new Set((await told) as readonly string[]);
      await worker.terminate();
      if (violations.size > 0) throw new Error(`against the protocol (seed ${seed}):\n${[...violations].join("\n")}`);
    },
  };
}
