import { execFile } from "node:child_process";
import { chmod, mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { findProgram } from "./needs.ts";
import { Program } from "./program.ts";

/** An nginx of its own: everything it writes is below `folder`. */
export class Nginx {
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
  }

  /** What `nginx -t` says of a configuration for the http block; "" when all is well. */
  async complaints(configuration: string): Promise<string> {
    await this.#write(configuration);
    return await new Promise((resolve) => {
      execFile(nginx(), [...this.#arguments, "-t", "-q"], (error, stdout, stderr) => {
        resolve(`${error ? `${String(error.code)} ` : ""}${stdout}${stderr}`);
      });
    });
  }

  async start(configuration: string, ready: () => Promise<unknown>): Promise<Program> {
    await this.#write(configuration);
    return await new Program(nginx(), this.#arguments).ready("nginx", ready);
  }

  /** Files that hold what nginx could not pass on at once. */
  async spooled(): Promise<readonly string[]> {
    const names = await readdir(join(this.folder, "tmp"), { recursive: true, withFileTypes: true });
    return names.filter((entry) => entry.isFile()).map(({ name }) => name);
  }

  get #arguments(): string[] {
    return ["-p", this.folder, "-c", join(this.folder, "nginx.conf"), "-e", join(this.folder, "error.log")];
  }

  async #write(configuration: string): Promise<void> {
    await mkdir(join(this.folder, "tmp"), { recursive: true });
    await chmod(this.folder, 0o755);
    await writeFile(join(this.folder, "registry.conf"), configuration);
    const root = process.getuid?.() === 0;
    const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    await writeFile(
      join(this.folder, "nginx.conf"),
      `daemon off; worker_processes 1; pid nginx.pid; ${root ? "user root;" : ""}
events { worker_connections 1024; }
http {
  access_log access.log;
  ${temporary.map((name) => `${name}_temp_path tmp/${name};`).join(" ")}
  include registry.conf;
}
`,
    );
  }
}

function nginx(): string {
  return findProgram("nginx") ?? "nginx";
}
