/**
 * Does `work` with a signal of its own, and rejects when `signal` is aborted or `milliseconds` have passed, even if the work goes on.
 * `AbortSignal.any` would not do: an `AbortSignal.timeout` that nothing else holds goes with the next collection of memory.
 */
export async function within<T>(
  milliseconds: number,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted();
  const patient = new AbortController();
  const late = new Promise<never>((_, reject) => {
    patient.signal.addEventListener("abort", () => {
      reject(patient.signal.reason instanceof Error ? patient.signal.reason : new Error("interrupted"));
    });
  });
  const stop = (): void => {
    patient.abort(signal.reason);
  };
  const timer = setTimeout(() => {
    patient.abort(new Error(`no answer within ${milliseconds / 1000} s`));
  }, milliseconds);
  signal.addEventListener("abort", stop);
  try {
    return await Promise.race([work(patient.signal), late]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", stop);
  }
}
