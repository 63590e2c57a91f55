import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Context } from "mocha";
import { command } from "./command.ts";
import type { FrontedRegistry, Login } from "./fronted-registry.ts";
import { findProgram, needs } from "./needs.ts";
import { Program, removeFolder, temporaryFolder } from "./program.ts";

/** The client that comes with Debian's dockerd; a newer one may come first in the path. */
const client = "/usr/bin/docker";

/** As `needs`, for `DockerEngine`; it wants to be root. */
export function needsDocker(context: Context): void {
  needs(context, "dockerd", "containerd", "runc", "docker", "unshare");
  if (process.getuid?.() !== 0) needs(context, "root's rights");
}

/** A dockerd and its client with everything of their own, and containers without a network. */
export class DockerEngine {
  readonly folder: string;
  readonly #address: string;
  readonly #engine: Program;
  readonly #env: NodeJS.ProcessEnv;

  private constructor(folder: string, address: string, engine: Program, env: NodeJS.ProcessEnv) {
    this.folder = folder;
    this.#address = address;
    this.#engine = engine;
    this.#env = env;
  }

  /** Starts it. What runs on 127.0.0.1 it takes without looking at certificates; only its client looks at them. */
  static async start({ address, authority }: Pick<FrontedRegistry, "address" | "authority">): Promise<DockerEngine> {
    const folder = await temporaryFolder("docker");
    for (const name of ["lib", "run", "home", "tmp"]) await mkdir(join(folder, name));
    const socket = `unix://${join(folder, "docker.sock")}`;
    const configuration = {
      "data-root": join(folder, "data"),
      "exec-root": join(folder, "exec"),
      pidfile: join(folder, "docker.pid"),
      "deprecated-key-path": join(folder, "key.json"),
      hosts: [socket],
      "storage-driver": "vfs",
      bridge: "none",
      iptables: false,
      "ip-forward": false,
      "ip-masq": false,
      "userland-proxy": false,
      "oom-score-adjust": 0,
    };
    await writeFile(join(folder, "daemon.json"), JSON.stringify(configuration));
    // What it mounts goes when it goes, and what has a fixed place is elsewhere: it has a view of its own.
    const script = `mount --bind "$0/lib" /var/lib && mount --bind "$0/run" /run && exec "$1" --config-file "$0/daemon.json"`;
    const engine = new Program(
      "unshare",
      ["--mount", "sh", "-c", script, folder, findProgram("dockerd") ?? "dockerd"],
      {
        env: { ...process.env, TMPDIR: join(folder, "tmp") },
      },
    );
    const env = {
      PATH: process.env["PATH"],
      HOME: join(folder, "home"),
      DOCKER_HOST: socket,
      DOCKER_CONFIG: join(folder, "home"),
      ...(authority !== undefined && { SSL_CERT_FILE: authority }),
    };
    const started = new DockerEngine(folder, address, engine, env);
    try {
      await engine.ready("dockerd", async () => await started.docker("version"), 60);
    } catch (error) {
      await started.stop();
      throw error;
    }
    return started;
  }

  async docker(...args: readonly string[]): Promise<string> {
    return await this.run(args);
  }

  /** As `docker`, with something to read or more of an environment. */
  async run(
    args: readonly string[],
    { input = "", environment = {} }: { readonly input?: string; readonly environment?: NodeJS.ProcessEnv } = {},
  ): Promise<string> {
    return await command(client, args, { env: { ...this.#env, ...environment }, cwd: this.folder, input });
  }

  async login({ user, password }: Login): Promise<string> {
    return await this.run(["login", "-u", user, "--password-stdin", this.#address], { input: password });
  }

  async stop(): Promise<void> {
    await this.#engine.stop();
    await removeFolder(this.folder);
  }
}
