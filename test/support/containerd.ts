import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Context } from "mocha";
import { command } from "./command.ts";
import type { FrontedRegistry } from "./fronted-registry.ts";
import { needs } from "./needs.ts";
import { Program, removeFolder, temporaryFolder } from "./program.ts";

/** As `needs`, for `Containerd`; it wants to be root. */
export function needsContainerd(context: Context): void {
  needs(context, "containerd", "ctr", "unshare");
  if (process.getuid?.() !== 0) needs(context, "root's rights");
}

/** A containerd with everything of its own, for its client `ctr`. */
export class Containerd {
  readonly folder: string;
  readonly #daemon: Program;

  private constructor(folder: string, daemon: Program) {
    this.folder = folder;
    this.#daemon = daemon;
  }

  /** Starts it, knowing how to reach a registry. */
  static async start({ address, authority }: Pick<FrontedRegistry, "address" | "authority">): Promise<Containerd> {
    const folder = await temporaryFolder("containerd");
    const host = join(folder, "hosts", address);
    await mkdir(host, { recursive: true });
    const url = `${authority === undefined ? "http" : "https"}://${address}`;
    await writeFile(
      join(host, "hosts.toml"),
      `server = "${url}"
[host."${url}"]
capabilities = ["pull", "resolve", "push"]
${authority === undefined ? "" : `ca = "${authority}"`}
`,
    );
    await writeFile(
      join(folder, "config.toml"),
      `version = 2
root = "${folder}/data"
state = "${folder}/run"
oom_score = 0
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
[grpc]
address = "${folder}/containerd.sock"
[ttrpc]
address = "${folder}/ttrpc.sock"
`,
    );
    // What it mounts goes when it goes: it has a view of its own.
    const daemon = new Program("unshare", ["--mount", "containerd", "-c", join(folder, "config.toml")]);
    const started = new Containerd(folder, daemon);
    try {
      await daemon.ready("containerd", async () => await started.ctr("default", "version"));
    } catch (error) {
      await started.stop();
      throw error;
    }
    return started;
  }

  /** The folder that tells ctr how to reach the registry. */
  get hosts(): string {
    return join(this.folder, "hosts");
  }

  /** Runs ctr in a namespace. */
  async ctr(namespace: string, ...args: readonly string[]): Promise<string> {
    return await command("ctr", ["-a", join(this.folder, "containerd.sock"), "-n", namespace, ...args]);
  }

  async stop(): Promise<void> {
    await this.#daemon.stop();
    await removeFolder(this.folder);
  }
}
