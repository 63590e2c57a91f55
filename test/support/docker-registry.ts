import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Context } from "mocha";
import { needs } from "./needs.ts";
import { freePort, Program, removeFolder, temporaryFolder } from "./program.ts";
import { V1Client } from "./v1-client.ts";

/** Debian's docker-registry (CNCF Distribution 2.8) on a folder that may be another registry's store. */
export class DockerRegistry {
  readonly url: string;
  readonly client: V1Client;
  readonly #program: Program;
  readonly #folder: string;

  private constructor(program: Program, folder: string, url: string) {
    this.#program = program;
    this.#folder = folder;
    this.url = url;
    this.client = new V1Client(url);
  }

  /** Skips the suite when it is not installed. `store` is made when it is missing. `auth` is that of its configuration. */
  static async start(context: Context, store: string, auth?: object): Promise<DockerRegistry> {
    const [command = ""] = needs(context, "docker-registry");
    const [folder, port] = [await temporaryFolder("docker-registry"), await freePort()];
    const config = {
      version: 0.1,
      log: { level: "warn", accesslog: { disabled: true } },
      storage: {
        filesystem: { rootdirectory: store },
        delete: { enabled: true },
        maintenance: { uploadpurging: { enabled: false } },
      },
      validation: { manifests: { urls: { allow: ["^https?://"] } } },
      compatibility: { schema1: { enabled: true } },
      http: { addr: `127.0.0.1:${port}`, secret: "the same after each start", relativeurls: true },
      ...(auth && { auth }),
    };
    const file = join(folder, "config.yml");
    // JSON is YAML too.
    await writeFile(file, JSON.stringify(config));
    const program = new Program(command, ["serve", file]);
    const registry = new DockerRegistry(program, folder, `http://127.0.0.1:${port}`);
    await program.ready("docker-registry", async () => (await fetch(`${registry.url}/v2/`)).status < 500);
    return registry;
  }

  get output(): string {
    return this.#program.output;
  }

  async stop(): Promise<void> {
    await this.#program.stop();
    await removeFolder(this.#folder);
  }
}
