import { isIPv6 } from "node:net";
import { resolve } from "node:path";
import { within } from "../drivers/patience.ts";
import type { RegistryPort, Settings } from "../server/index.ts";
import { command, configOption, flavorOption, type Context, type Introduction } from "./command.ts";
import { CommandError } from "./exit.ts";
import { firstLineOfInput, readNamed } from "./files.ts";
import { send } from "./http.ts";
import { privateKey } from "./private-key.ts";
import { RemoteRegistry } from "./remote-registry.ts";
import type { Terminal } from "./terminal.ts";

/** Which registry a command is about, and who asks it. */
interface RegistryFlags {
  readonly url?: string | undefined;
  readonly config?: string | undefined;
  readonly flavor?: string | undefined;
  readonly username?: string | undefined;
  readonly passwordStdin?: true | undefined;
  readonly key?: string | undefined;
  readonly ca?: string | undefined;
}

/** A command about a registry, with the flags that say which one is meant and who asks; `withRegistry` takes them. */
export function registryCommand(context: Context, name: string, introduction: Introduction) {
  return command(context, name, introduction)
    .option("-u, --url <url>", "a running registry; otherwise the flavor's, or its storage when it does not run")
    .addOption(configOption)
    .addOption(flavorOption)
    .option("--username <name>", "who asks, where a proxy wants to know")
    .option("--password-stdin", "read the password from stdin")
    .option("-k, --key <file>", "private key that signs the requests (PEM)")
    .option("--ca <file>", "certificates to trust beside the system's (PEM)");
}

/**
 * Works with the registry that the flags mean: the one at --url, else the flavor's if a server answers at its address,
 * else the flavor's storage itself. Says on stderr which it is. `access` is what is to be done with it. Closes it,
 * whatever comes of the work.
 */
export async function withRegistry(
  terminal: Terminal,
  flags: RegistryFlags,
  access: "read" | "write",
  work: (registry: RegistryPort) => Promise<void>,
): Promise<void> {
  const registry = await openRegistry(terminal, flags, access);
  try {
    await work(registry);
  } finally {
    await registry.close();
  }
}

/** How long a server that runs may take to say so, in milliseconds. */
const patience = 2_000;

async function openRegistry(terminal: Terminal, flags: RegistryFlags, access: "read" | "write"): Promise<RegistryPort> {
  if (flags.url !== undefined && (flags.flavor !== undefined || flags.config !== undefined)) {
    throw new CommandError("usage", "--url and a flavor cannot both say which registry is meant: give one of them");
  }
  const { signal } = terminal.io;
  if (flags.url !== undefined) {
    const registry = new RemoteRegistry({ url: parsedUrl(flags.url), signal, ...(await credentials(terminal, flags)) });
    await terminal.note(`asking ${registry.name}`);
    return registry;
  }
  const { loadFlavor, storeName } = await import("./configuration.ts");
  const { settings, flavor } = await loadFlavor(terminal, flags);
  const url = addressOf(settings);
  if (url && (await answers(url, signal))) {
    const registry = new RemoteRegistry({ url, signal, ...(await credentials(terminal, flags)) });
    await terminal.note(`asking ${registry.name}, where flavor ${flavor} runs`);
    return registry;
  }
  if (settings.storage === "memory") {
    throw new CommandError("failed", `flavor ${flavor} keeps its images in memory and does not run: it has none`);
  }
  const { openStoredRegistry } = await import("../server/index.ts");
  const name = storeName(settings, flavor);
  const doing = access === "read" ? "reading" : "changing";
  await terminal.note(`flavor ${flavor} does not run${url ? ` at ${url.origin}` : ""}: ${doing} ${name} itself`);
  return await openStoredRegistry(settings, name, { access, signal, warn: (message) => void terminal.warn(message) });
}

/** Where a flavor can be reached from its own machine; undefined where that is a socket, or any port. */
function addressOf({ http: { host, port, tls } }: Settings): URL | undefined {
  if (port === 0 || host.startsWith("unix:")) return undefined;
  const reached = host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host;
  return new URL(`${tls ? "https" : "http"}://${isIPv6(reached) ? `[${reached}]` : reached}:${port}`);
}

/** Whether a registry of ours answers there; anything else at the address counts as none. */
async function answers(url: URL, signal: AbortSignal): Promise<boolean> {
  try {
    const ping = { method: "GET", url: new URL("/v1/_ping", url), headers: {} };
    const response = await within(patience, signal, async (patient) => await send({ ...ping, signal: patient }));
    response.resume();
    return response.headers["x-docker-registry-version"] !== undefined;
  } catch (error) {
    signal.throwIfAborted();
    if (!isDistrust(error)) return false;
    const remedy = "name it with --url as clients do, and its certificate with --ca";
    throw new CommandError("failed", `what answers at ${url.origin} can't be trusted; ${remedy}`, { cause: error });
  }
}

function isDistrust(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause instanceof Error && "code" in cause && /CERT|SELF_SIGNED|ALTNAME/.test(String(cause.code));
}

async function credentials(terminal: Terminal, flags: RegistryFlags) {
  const { cwd } = terminal.io;
  const { username, passwordStdin, key, ca } = flags;
  if (passwordStdin && username === undefined) throw new CommandError("usage", "--password-stdin needs --username");
  return {
    username,
    password: passwordStdin ? await firstLineOfInput(terminal) : undefined,
    key: key === undefined ? undefined : await privateKey(resolve(cwd, key)),
    ca: ca === undefined ? undefined : await readNamed("--ca", resolve(cwd, ca)),
  };
}

function parsedUrl(text: string): URL {
  if (/^https?:\/\//.test(text) && URL.canParse(text)) return new URL(text);
  throw new CommandError("usage", `--url '${text}' must begin with http:// or https://`);
}
