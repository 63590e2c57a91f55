import { schemeOf } from "./hash-scheme.ts";

/** A user of an htpasswd file. */
export interface User {
  readonly name: string;
  readonly hash: string;
}

/** A line that can't be read; the text never quotes it. */
export interface LineFault {
  readonly line: number;
  readonly problem: string;
}

/** What an htpasswd file says. Of users who are named twice, the first line counts, as it does for Apache. */
export interface ParsedUsers {
  readonly users: ReadonlyMap<string, User>;
  readonly faults: readonly LineFault[];
  /** Users who have further lines that don't count. */
  readonly repeated: readonly string[];
}

/** Reads `name:hash` lines; empty ones and those that begin with `#` are comments. */
export function parseUsers(text: string): ParsedUsers {
  const users = new Map<string, User>();
  const faults: LineFault[] = [];
  const repeated = new Set<string>();
  for (const [index, content] of text.split("\n").entries()) {
    if (/^\s*(#|$)/.test(content)) continue;
    const line = index + 1;
    const [name = "", hash] = content.trimEnd().split(":");
    if (hash === undefined) faults.push({ line, problem: "is not of the form name:hash" });
    else if (name === "") faults.push({ line, problem: "names no user" });
    else if (users.has(name)) repeated.add(name);
    else if (schemeOf(hash) === undefined) faults.push({ line, problem: unknownHash(name, hash) });
    else users.set(name, { name, hash });
  }
  return { users, faults, repeated: [...repeated] };
}

function unknownHash(name: string, hash: string): string {
  const what = hash === "" ? "has no password" : "has a password that is not hashed in a way known here";
  return `${name} ${what}; registryctl user passwd sets one`;
}

/*
 * The changes below keep all other lines as they are, byte by byte: whatever its encoding is, the text has a character a
 * byte (latin1).
 */

/** The text with this hash for the user, in the place of an old one or on a new line at the end. */
export function withUser(text: string, name: string, hash: string): string {
  const bytes = asBytes(name);
  const lines = text.split("\n");
  const index = lines.findIndex((line) => nameOf(line) === bytes);
  const old = lines[index];
  if (old === undefined) return `${text}${text === "" || text.endsWith("\n") ? "" : "\n"}${bytes}:${hash}\n`;
  const rest = old.slice(bytes.length + 1).replace(/^[^:\r]*/, "");
  return lines.with(index, `${bytes}:${hash}${rest}`).join("\n");
}

/** The text without any line of the user. */
export function withoutUser(text: string, name: string): string {
  const bytes = asBytes(name);
  return text
    .split("\n")
    .filter((line) => nameOf(line) !== bytes)
    .join("\n");
}

/** Whether there is a line of that user, one that can be read or not. */
export function hasUser(text: string, name: string): boolean {
  const bytes = asBytes(name);
  return text.split("\n").some((line) => nameOf(line) === bytes);
}

function nameOf(line: string): string | undefined {
  if (/^\s*(#|$)/.test(line) || !line.includes(":")) return undefined;
  return line.slice(0, line.indexOf(":"));
}

function asBytes(name: string): string {
  return Buffer.from(name, "utf8").toString("latin1");
}
