import { execFile } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Contestant } from "./contestant.ts";
import { configuration, flavor, ownProgram } from "./registryctl.ts";
import { freePort, Service } from "./service.ts";

/**
 * A contestant with nginx in front, configured by `registryctl gen-nginx`; of what they use, both count. `offload` lets
 * nginx send blobs by itself, where the contestant can.
 */
export function behindNginx(contestant: Contestant, { offload }: { readonly offload: boolean }): Contestant {
  return {
    ...contestant,
    async start(folder) {
      const server = await contestant.start(folder, { offload });
      try {
        const front = join(folder, "nginx");
        const port = await freePort();
        await mkdir(join(front, "tmp"), { recursive: true });
        const configFile = server.configFile ?? join(front, "config.yml");
        if (server.configFile === undefined) {
          await writeFile(configFile, configuration({ folder, port: 5000, workers: 1, offload: false }));
        }
        await writeFile(join(front, "registry.conf"), await generated(configFile, port, new URL(server.url).host));
        await writeFile(join(front, "nginx.conf"), surroundings());
        const args = ["-p", front, "-c", join(front, "nginx.conf"), "-e", join(front, "error.log")];
        const nginx = await Service.start("nginx", args, front);
        const url = `http://127.0.0.1:${port}`;
        await nginx.answering(url, "/v2/");
        const stop = async (): Promise<void> => {
          await nginx.stop();
          await server.stop();
        };
        return { ...server, url, pids: [...server.pids, nginx.pid], stop };
      } catch (error) {
        await server.stop();
        throw error;
      }
    },
  };
}

async function generated(configFile: string, port: number, upstream: string): Promise<string> {
  const where = ["--listen", "127.0.0.1", "--port", String(port), "--upstream", upstream];
  const args = [ownProgram, "gen-nginx", "--config", configFile, "--flavor", flavor, ...where];
  return (await promisify(execFile)(process.execPath, args)).stdout;
}

function surroundings(): string {
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  const root = process.getuid?.() === 0;
  return `daemon off; worker_processes 1; pid nginx.pid; ${root ? "user root;" : ""}
events { worker_connections 256; }
http {
  access_log access.log;
  ${temporary.map((name) => `${name}_temp_path tmp/${name};`).join(" ")}
  include registry.conf;
}
`;
}
