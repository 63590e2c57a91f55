import type { Uploads } from "./uploads.ts";

/** In milliseconds. */
const hourly = 3_600_000;

/**
 * Removes abandoned uploads now and every hour, until it is closed; closing waits for a removal that goes on. One process
 * of several is enough. `onError` must not throw.
 */
export function reapUploads(
  uploads: Pick<Uploads, "reap">,
  { onError, every = hourly }: { readonly onError: (error: unknown) => void; readonly every?: number },
): { close(): Promise<void> } {
  let reaping: Promise<unknown> | undefined;
  const reap = (): void => {
    reaping ??= uploads
      .reap()
      .catch(onError)
      .finally(() => (reaping = undefined));
  };
  const timer = setInterval(reap, every);
  timer.unref();
  reap();
  return {
    close: async () => {
      clearInterval(timer);
      await reaping;
    },
  };
}
