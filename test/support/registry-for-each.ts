import { removeFolder, temporaryFolder } from "./program.ts";
import { startRegistry, type RegistryServer } from "./registry-server.ts";
import type { V1Client } from "./v1-client.ts";

/** The registry of the test that runs. */
export interface RegistryForEach {
  readonly client: V1Client;
  /** Of the test's own; local storage is in it. */
  readonly folder: string;
}

/** Serves another registry for each test of the suite around; call it in the body of a `describe`. */
export function registryForEach(storage: "memory" | "local"): RegistryForEach {
  let folder = "";
  let server: RegistryServer | undefined;
  beforeEach(async () => {
    folder = await temporaryFolder();
    server = await startRegistry(storage === "local" ? { storage, storage_path: folder } : {});
  });
  afterEach(async () => {
    await server?.close();
    await removeFolder(folder);
  });
  return {
    get client() {
      if (!server) throw new Error("no test runs");
      return server.client;
    },
    get folder() {
      return folder;
    },
  };
}
