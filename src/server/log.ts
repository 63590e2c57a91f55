import { pino, type Logger, type LoggerOptions } from "pino";
import { gathered } from "./log-lines.ts";
import { maskedFacts, maskedText } from "./secrets.ts";

/** The levels as the configuration names them, from the most talkative. */
export const logLevels = ["debug", "info", "warn", "error", "critical"] as const;
export type LogLevel = (typeof logLevels)[number];

/** Writes facts about one event. What is secret is masked by name and form; callers need not know what is. */
export type Log = {
  readonly [level in LogLevel]: (facts: object, message: string) => void;
} & {
  /** The same log, with `facts` in every line. */
  child(facts: object): Log;
  /** The same log, which leaves out no line, whatever its level is. */
  complete(): Log;
};

/** How a log is kept. */
export interface LogOptions {
  readonly level: LogLevel;
  /** For people at a terminal: the time, the level, the message and the facts, instead of JSON. */
  readonly readable?: boolean;
  /** Where lines go; standard error when absent. */
  readonly destination?: { write(line: string): unknown };
}

/** A log of JSON lines with `level`, `time` (ISO 8601, UTC), `msg` and the facts; errors go under `err`. */
export function createLog({ level, readable = false, destination = gathered(pino.destination(2)) }: LogOptions): Log {
  const options: LoggerOptions<LogLevel, true> = {
    level,
    customLevels: { debug: 20, info: 30, warn: 40, error: 50, critical: 60 },
    useOnlyCustomLevels: true,
    base: null,
    timestamp: isoTime(),
    serializers: { err: (error: unknown) => error },
    formatters: { level: (label) => ({ level: label }) },
  };
  return logTo(pino(options, readable ? { write: (line) => destination.write(readableLine(line)) } : destination));
}

/** As pino's own, that makes the text once a millisecond. */
function isoTime(): () => string {
  let time = 0;
  let text = "";
  return () => {
    const now = Date.now();
    if (now !== time) text = `,"time":"${new Date(now).toISOString()}"`;
    time = now;
    return text;
  };
}

function logTo(logger: Logger<LogLevel>): Log {
  const at = (level: LogLevel) => (facts: object, message: string) => {
    if (logger.isLevelEnabled(level)) logger[level](maskedFacts(facts), maskedText(message));
  };
  return {
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    critical: at("critical"),
    child: (facts) => logTo(logger.child(maskedFacts(facts))),
    complete: () => logTo(logger.child({}, { level: "debug" })),
  };
}

function readableLine(line: string): string {
  const { level, time, msg, err, ...facts } = JSON.parse(line) as Record<string, unknown>;
  const pairs = Object.entries(facts).map(([name, value]) => ` ${name}=${printable(value)}`);
  const stack = typeof err === "object" && err !== null && "stack" in err ? `\n${String(err.stack)}` : "";
  return `${String(time).slice(11, 19)} ${String(level).padEnd(8)} ${oneLine(String(msg))}${pairs.join("")}${stack}\n`;
}

function printable(value: unknown): string {
  return typeof value === "string" && /^[\w./:@+-]+$/.test(value) ? value : oneLine(JSON.stringify(value));
}

/** Clients choose parts of lines: no control character of theirs may reach a terminal. */
function oneLine(text: string): string {
  return text.replace(/\p{Cc}/gu, (character) => JSON.stringify(character).slice(1, -1));
}
