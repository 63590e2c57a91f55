import { execFile } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Account, Contestant, StartOptions } from "./contestant.ts";
import { freePort, Service } from "./service.ts";

/** This checkout's command line, as an operator runs it. */
export const ownProgram = fileURLToPath(new URL("../../bin/registryctl.js", import.meta.url));

/** The flavor of the configurations that are written here. */
export const flavor = "bench";

/** Where nginx finds what it sends by itself. */
const offloadLocation = "/internal";

/** Our registry: local storage, request log to a file, everything else as it is by default. */
export function registryctl({
  name = "registryctl",
  program = ownProgram,
  workers,
  profiles,
}: {
  readonly name?: string;
  readonly program?: string;
  readonly workers: number | "auto";
  /** Where its processes leave CPU profiles when they end; being profiled slows them. */
  readonly profiles?: string;
}): Contestant {
  return {
    name,
    speaksV1: true,
    async start(folder, { offload = false, storage, account } = {}) {
      const port = await freePort();
      const configFile = join(folder, "config.yml");
      await mkdir(folder, { recursive: true });
      await writeFile(configFile, configuration({ folder, port, workers, offload, storage, account }));
      if (account) await addAccount(program, configFile, account);
      const profiling = profiles === undefined ? [] : ["--cpu-prof", "--cpu-prof-dir", profiles];
      const args = [...profiling, program, "serve", "--config", configFile, "--flavor", flavor];
      const service = await Service.start(process.execPath, args, folder);
      const url = `http://${account ? `${account.name}:${account.password}@` : ""}127.0.0.1:${port}`;
      const readyAfter = await service.answering(url, "/v2/");
      const stop = async (): Promise<void> => {
        await service.stop();
      };
      return { url, pids: [service.pid], readyAfter, configFile, stop };
    },
  };
}

/** A configuration on local storage below `folder`, unless `storage` says else; JSON is YAML too. */
export function configuration(options: {
  readonly folder: string;
  readonly port: number;
  readonly workers: number | "auto";
  readonly offload: boolean;
  readonly storage?: StartOptions["storage"];
  readonly account?: StartOptions["account"];
}): string {
  const settings = {
    ...(options.storage ?? { storage: "local", storage_path: join(options.folder, "store") }),
    loglevel: "info",
    workers: options.workers,
    http: {
      host: "127.0.0.1",
      port: options.port,
      ...(options.account && { trusted_proxies: ["127.0.0.1"] }),
    },
    ...(options.account && { auth: { htpasswd: join(options.folder, "users") } }),
    ...(options.offload && { nginx_x_accel_redirect: offloadLocation }),
  };
  return JSON.stringify({ [flavor]: settings }, undefined, 2);
}

/** As an operator does it, so that the password is hashed as it is by default. */
async function addAccount(program: string, configFile: string, { name, password }: Account): Promise<void> {
  const args = [program, "user", "add", name, "--password-stdin", "--config", configFile, "--flavor", flavor];
  const adding = promisify(execFile)(process.execPath, args);
  adding.child.stdin?.end(password);
  await adding;
}
