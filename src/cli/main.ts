import "./heap.ts";

// Only now: modules that are imported above are loaded, and fill the memory, before the first of them is run.
const { run } = await import("./program.ts");

const stop = new AbortController();
const force = new AbortController();

// The first signal asks to finish in order, the second one to finish now, and the third one isn't asking.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => {
    if (force.signal.aborted) process.exit(130);
    (stop.signal.aborted ? force : stop).abort(new Error(`stopped by ${signal}`));
  });
}

// A reader that has seen enough (`registryctl … | head`) is no failure.
for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(process.exitCode ?? 0);
    throw error;
  });
}

process.exitCode = await run(process.argv.slice(2), {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  cwd: process.cwd(),
  signal: stop.signal,
  force: force.signal,
  self: [process.execPath, ...process.argv.slice(1, 2)],
  nodeVersion: process.versions.node,
});

// What a command no longer waits for, such as a server that says nothing, may not keep it.
setTimeout(() => process.exit(), 1_000).unref();
