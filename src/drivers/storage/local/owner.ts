import { readFile, readlink } from "node:fs/promises";
import { hostname } from "node:os";
import { randomUUID } from "node:crypto";

/**
 * Which process made something, written so that another can tell whether it still runs: `host,pid space,pid,start`.
 * The process space keeps containers apart that share a host name, the start a process from a later one of the same
 * number. Where the system doesn't tell (it has no /proc), the space is `?` and nobody can know.
 */
export type Owner = string & { readonly __owner: true };

/** The running process. */
export async function thisOwner(): Promise<Owner> {
  const host = encodeURIComponent(hostname()).replaceAll("%", "_");
  try {
    const [space, pid] = [await pidSpace(), await readlink("/proc/self")];
    return `${host},${space},${pid},${(await startOf(pid)) ?? "?"}` as Owner;
  } catch {
    return `${host},?,${randomUUID()},?` as Owner;
  }
}

/** Whether the process that `owner` names still runs; undefined where that can't be known from here. */
export async function runs(owner: string, here: Owner): Promise<boolean | undefined> {
  const [host, space, pid, start, ...rest] = owner.split(",");
  const [ownHost, ownSpace] = here.split(",");
  if (host !== ownHost || space !== ownSpace || space === "?" || rest.length > 0) return undefined;
  if (pid === undefined || start === undefined || !/^\d+$/.test(pid) || !/^\d+$/.test(start)) return undefined;
  return (await startOf(pid)) === start;
}

async function pidSpace(): Promise<string> {
  return (await readlink("/proc/self/ns/pid")).replace(/\D/g, "");
}

/**
 * When the process started, in the clock ticks of proc(5); undefined when there is none, or only its exit code is left.
 */
async function startOf(pid: string): Promise<string | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  // The second field is the program's name in parentheses and may hold anything; the fields are counted behind it.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return ["Z", "X"].includes(fields[0] ?? "") ? undefined : fields[19];
}
