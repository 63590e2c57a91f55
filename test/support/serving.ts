import { claimFolder } from "../../src/drivers/storage/local/claim.ts";
import { createLog } from "../../src/server/log.ts";
import { runServer, type App, type AppContext } from "../../src/server/run.ts";

/**
 * A program that serves with `runServer`, for tests of whole processes. Arguments: number of workers, port, seconds to
 * shut down. Its answers name the process; some paths make it misbehave, and some make it remember words and announce
 * that they have changed. REGISTRYCTL_TEST_CLAIM is a folder to claim.
 */
const [workers = "1", port = "0", shutdownTimeout = "60"] = process.argv.slice(2);
const signals = { stop: new AbortController(), cut: new AbortController() };
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    (signals.stop.signal.aborted ? signals.cut : signals.stop).abort();
  });
}
const log = createLog({ level: "debug" });

try {
  process.exitCode = await runServer({
    workers: workers === "auto" ? workers : Number(workers),
    listen: { host: "127.0.0.1", port: Number(port) },
    shutdownTimeout: Number(shutdownTimeout),
    stop: signals.stop.signal,
    cut: signals.cut.signal,
    log,
    onListening: (url) => process.stdout.write(`serving ${url}\n`),
    createApp,
    claim: async (member) => {
      const folder = process.env["REGISTRYCTL_TEST_CLAIM"];
      return folder === undefined ? undefined : await claimFolder(folder, member);
    },
  });
  process.stdout.write(`ended with ${process.exitCode}\n`);
} catch (error) {
  process.stdout.write(`failed: ${String(error)}\n`);
  process.exitCode = 1;
}

async function createApp({ isFirst, log, coherence }: AppContext): Promise<App> {
  const fault = process.env["REGISTRYCTL_TEST_FAULT"];
  if (fault === "start") throw new Error("the database is in flames");
  if (fault === "hang") {
    log.info({}, "app hangs");
    await new Promise(() => undefined);
  }
  if (fault === "others" && !isFirst) process.exit(9);
  const remembered = new Set<string>();
  coherence.listen((words = [...remembered]) => {
    for (const word of words) remembered.delete(word);
  });
  log.info({}, "app created");
  return {
    handler: (request, response) => {
      const [, path, word = ""] = request.url?.split("/") ?? [];
      if (path === "hang") {
        response.write(`pid ${process.pid} hangs\n`);
      } else if (path === "announce") {
        void coherence.announce(word.split(",")).then(() => response.end(`${word} announced\n`));
      } else {
        if (path === "remember") remembered.add(word);
        const knowledge = `exclusive ${coherence.isExclusive} remembers ${[...remembered].join()}`;
        response.end(`pid ${process.pid} first ${isFirst} ${knowledge}.\n`);
      }
    },
    drain: () => {
      log.info({}, "app drains");
    },
    close: async () => {
      await Promise.resolve();
      log.info({}, "app closed");
      if (fault === "close") throw new Error("the database would not close");
    },
  };
}
