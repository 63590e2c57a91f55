// Preloaded into a server under test: keeps the longest delay of its event loop, in milliseconds, in a file.
import { renameSync, writeFileSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";

const file = process.env.LOOP_MONITOR_FILE;
if (file) {
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
