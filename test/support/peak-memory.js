// Preloaded into a command under test: keeps the most memory that the process has had at once, in bytes, in a file.
import { readFileSync, writeFileSync } from "node:fs";

const file = process.env.PEAK_MEMORY_FILE;
if (file) {
  process.on("exit", () => {
    const [, kibibytes] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8")) ?? [];
    writeFileSync(file, String(Number(kibibytes) * 1024));
  });
}
