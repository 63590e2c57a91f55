// Preloaded into a server under test: keeps the longest delay of its event loop, in milliseconds, in a file. Threads
// have it preloaded too; they have loops of their own.
import { renameSync, writeFileSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { isMainThread } from "node:worker_threads";

const file = process.env.LOOP_MONITOR_FILE;
if (file && isMainThread) {
  const written = `${file}.${process.pid}`;
  const histogram = monitorEventLoopDelay({ resolution: 5 });
  setTimeout(() => {
    histogram.enable();
    setInterval(() => {
      if (histogram.max === 0) return;
      writeFileSync(written, String(histogram.max / 1e6));
      renameSync(written, file); // Who reads it finds a whole number.
    }, 200).unref();
  }, 1000).unref();
}
