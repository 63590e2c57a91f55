import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Context } from "mocha";
import { findProgram, needs } from "./needs.ts";
import { Program } from "./program.ts";

const modulesFolder = "/usr/lib/apache2/modules";
const modules = [
  "mpm_event",
  "authn_core",
  "authn_file",
  "authz_core",
  "authz_user",
  "auth_basic",
  "alias",
  "env",
  "headers",
  "reqtimeout",
  "slotmem_shm",
  "socache_shmcb",
  "ssl",
  "proxy",
  "proxy_http",
  "proxy_balancer",
  "lbmethod_byrequests",
  "xsendfile",
];

/** As `needs`, for Apache with mod_xsendfile. */
export function needsApache(context: Context): void {
  needs(context, "apache2", "openssl");
  if (!existsSync(join(modulesFolder, "mod_xsendfile.so"))) needs(context, "mod_xsendfile");
}

/** An Apache of its own: everything it writes is below `folder`. */
export class Apache {
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
  }

  /** What `apache2 -t` says of a configuration; "" when all is well. `without` leaves a module out. */
  async complaints(configuration: string, without?: string): Promise<string> {
    await this.#write(configuration, without);
    return await new Promise((resolve) => {
      execFile(apache(), ["-t", "-f", join(this.folder, "httpd.conf")], (error, stdout, stderr) => {
        resolve(`${error ? `${String(error.code)} ` : ""}${stdout}${stderr}`.replace(/^Syntax OK\n$/, ""));
      });
    });
  }

  async start(configuration: string, ready: () => Promise<unknown>): Promise<Program> {
    await this.#write(configuration);
    return await new Program(apache(), ["-DFOREGROUND", "-f", join(this.folder, "httpd.conf")]).ready("Apache", ready);
  }

  async #write(configuration: string, without?: string): Promise<void> {
    await mkdir(this.folder, { recursive: true });
    await chmod(this.folder, 0o755);
    await writeFile(join(this.folder, "registry.conf"), configuration);
    const root = process.getuid?.() === 0;
    await writeFile(
      join(this.folder, "httpd.conf"),
      `ServerRoot ${this.folder}
DefaultRuntimeDir ${this.folder}
PidFile httpd.pid
ServerName localhost
Mutex file:${this.folder} default
${modules
  .filter((name) => name !== without)
  .map((name) => `LoadModule ${name}_module ${modulesFolder}/mod_${name}.so`)
  .join("\n")}
${root ? "User www-data\nGroup www-data" : ""}
StartServers 1
ServerLimit 2
ThreadsPerChild 25
MaxRequestWorkers 50
ErrorLog error.log
LogLevel warn
IncludeOptional listen.conf
Include registry.conf
`,
    );
  }
}

function apache(): string {
  return findProgram("apache2") ?? "apache2";
}
