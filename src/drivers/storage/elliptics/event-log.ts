import { createWriteStream, type WriteStream } from "node:fs";

/** How much is written: all of these levels from a first one on. Their places are the numbers that configurations have. */
export const logLevels = ["debug", "notice", "info", "warning", "error"] as const;

export type LogLevel = (typeof logLevels)[number];

/** Where a client tells what happens to its connections. */
export interface EventLog {
  log(level: LogLevel, message: string): void;
  close(): void;
}

const standardStreams: Readonly<Record<string, number>> = { "/dev/stdout": 1, "/dev/stderr": 2 };

/**
 * A file that lines of `level` and above are added to. One that can't be written to is none: the storage works as
 * well without.
 */
export function openEventLog(path: string, level: LogLevel): EventLog {
  let stream: WriteStream | undefined;
  const lowest = logLevels.indexOf(level);
  return {
    log: (of, message) => {
      if (logLevels.indexOf(of) < lowest) return;
      stream ??= streamTo(path);
      if (!stream.destroyed) stream.write(`${new Date().toISOString()} elliptics ${of}: ${message}\n`);
    },
    close: () => {
      stream?.end();
    },
  };
}

/** Of a standard stream only the number is used: it may be a socket, which can't be opened by its name. */
function streamTo(path: string): WriteStream {
  const fd = standardStreams[path];
  const stream = createWriteStream(path, fd === undefined ? { flags: "a" } : { fd, autoClose: false });
  return stream.on("error", () => undefined);
}
