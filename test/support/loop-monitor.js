// Preloaded into a server under test: keeps the longest delay of its event loop, in milliseconds, in a file.
import { writeFileSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";

const file = process.env.LOOP_MONITOR_FILE;
if (file) {
  const histogram = monitorEventLoopDelay({ resolution: 5 });
  setTimeout(() => {
    histogram.enable();
    setInterval(() => {
      writeFileSync(file, String(histogram.max / 1e6));
    }, 200).unref();
  }, 1000).unref();
}
