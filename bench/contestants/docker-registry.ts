import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Contestant } from "./contestant.ts";
import { freePort, Service } from "./service.ts";

/** Debian's docker-registry (CNCF Distribution 2.8): file system, blob descriptors cached in memory, request log to a file. */
export function dockerRegistry(): Contestant {
  return {
    name: "docker-registry",
    speaksV1: false,
    async start(folder) {
      const port = await freePort();
      const configFile = join(folder, "registry.yml");
      await mkdir(folder, { recursive: true });
      await writeFile(configFile, configuration(folder, port));
      const service = await Service.start("docker-registry", ["serve", configFile], folder);
      const url = `http://127.0.0.1:${port}`;
      const readyAfter = await service.answering(url, "/v2/");
      const stop = async (): Promise<void> => {
        await service.stop();
      };
      return { url, pids: [service.pid], readyAfter, stop };
    },
  };
}

function configuration(folder: string, port: number): string {
  return JSON.stringify({
    version: "0.1",
    log: { level: "info", accesslog: { disabled: false } },
    storage: {
      filesystem: { rootdirectory: join(folder, "store") },
      cache: { blobdescriptor: "inmemory" },
      delete: { enabled: true },
    },
    http: { addr: `127.0.0.1:${port}`, secret: "bench" },
  });
}
