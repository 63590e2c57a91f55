import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { bin, freePort, Program, removeFolder, temporaryFolder } from "./program.ts";
import { V1Client, type V1ClientOptions } from "./v1-client.ts";

const monitor = new URL("./loop-monitor.js", import.meta.url).href;

/** A registry as an operator runs it: the built program, a configuration file, a folder. */
export class RegistryProcess {
  readonly folder: string;
  readonly port: number;
  /** The folder of the local storage. */
  readonly store: string;
  #program: Program | undefined;

  private constructor(folder: string, port: number, store: string) {
    this.folder = folder;
    this.port = port;
    this.store = store;
  }

  /**
   * Starts one on local storage in a new folder, or in `store`, unless `options` name another storage; they are lines of
   * its flavor.
   */
  static async start(options: readonly string[] = [], store?: string): Promise<RegistryProcess> {
    const folder = await temporaryFolder();
    const registry = new RegistryProcess(folder, await freePort(), store ?? join(folder, "store"));
    await registry.configure(options);
    await registry.restart();
    return registry;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get configFile(): string {
    return join(this.folder, "config.yml");
  }

  get pid(): number {
    return this.#program?.child.pid ?? 0;
  }

  get output(): string {
    return this.#program?.output ?? "";
  }

  client(options: V1ClientOptions = {}): V1Client {
    return new V1Client(this.url, options);
  }

  /** Writes the configuration for the next start. */
  async configure(options: readonly string[]): Promise<void> {
    const isElsewhere = options.some((line) => line.startsWith("storage:"));
    const flavor = [
      ...(isElsewhere ? [] : ["storage: local", `storage_path: ${this.store}`]),
      `http: { host: 127.0.0.1, port: ${this.port} }`,
      ...options,
    ];
    await writeFile(this.configFile, `e2e:\n${flavor.map((line) => `  ${line}\n`).join("")}`);
  }

  /** Starts the server again, after `kill` or `stop`. */
  async restart(): Promise<void> {
    this.#program = new Program(process.execPath, [bin, "serve", "--config", this.configFile, "--flavor", "e2e"], {
      cwd: this.folder,
      env: {
        ...process.env,
        NODE_OPTIONS: `--import=${monitor}`,
        LOOP_MONITOR_FILE: join(this.folder, "loop-delay"),
      },
    });
    await this.#program.ready("registryctl", async () => (await fetch(`${this.url}/readyz`)).ok);
    // Its clients only see that they are cut off.
    void this.#program.exited.then((code) => {
      if (typeof code === "number" && code > 0) process.stderr.write(`registryctl ended:\n${this.output.slice(-2000)}`);
    });
  }

  /** Ends the server as a power cut would. */
  async kill(): Promise<void> {
    await this.#program?.stop("SIGKILL");
  }

  async stop(): Promise<number | NodeJS.Signals> {
    return (await this.#program?.stop()) ?? 0;
  }

  /** Stops the server and removes its folder. */
  async remove(): Promise<void> {
    await this.stop();
    await removeFolder(this.folder);
  }

  /** The most memory that the process has had at once, in bytes. */
  async peakMemory(): Promise<number> {
    const status = await readFile(`/proc/${this.pid}/status`, "utf8");
    return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
  }

  /** The longest time that the event loop stood still since the server had started up, in milliseconds. */
  async longestLoopDelay(): Promise<number> {
    return Number(await readFile(join(this.folder, "loop-delay"), "utf8"));
  }
}
