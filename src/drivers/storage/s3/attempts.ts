import { setTimeout as sleep } from "node:timers/promises";
import type { DriverError } from "../errors.ts";
import { ServerFailure } from "./failure.ts";
import type { Tuning } from "./object-bucket.ts";
import type { Transport } from "./transport.ts";

/** How work is tried again. */
export interface Attempts {
  readonly tuning: Pick<Tuning, "attempts" | "delay">;
  readonly transport: Transport;
  /** What a failure means to the caller. */
  readonly meaning: (cause: unknown) => DriverError;
  /** Tried again after any passing failure, since nobody else can; else only when the server has not begun with it. */
  readonly persistent: boolean;
}

/**
 * Does `work`, and does it again when the server was too busy or never saw it, and with `persistent` after any other
 * passing failure. Rejects with what the last failure means.
 */
export async function attempted<T>(how: Attempts, work: () => Promise<T>): Promise<T> {
  const { attempts, delay } = how.tuning;
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (cause) {
      const error = how.meaning(cause);
      const isStale = how.transport.isStale(cause);
      const isBusy = cause instanceof ServerFailure && cause.isBusy;
      const again = isStale || isBusy || (how.persistent && error.code === "UNAVAILABLE");
      if (attempt >= attempts || !again || how.transport.isClosed) throw error;
      // Anything up to the full time, so that those who failed together don't come back together.
      if (!isStale) await sleep(Math.random() * delay * 2 ** (attempt - 1));
    }
  }
}
