import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { oldStore, writeStore } from "./old-store.ts";
import { freePort, removeFolder, temporaryFolder } from "./program.ts";
import { startRegistry, type RegistryServer } from "./registry-server.ts";

/** A store of docker-registry 0.9.1 that is served; `config.yml` beside it has a flavor of the same store that does not run. */
export interface InheritedRegistry {
  /** The store is in `data` below it. */
  readonly folder: string;
  readonly server: RegistryServer;
  close(): Promise<void>;
}

/** Serves an old store with a search index; `seed` decides what is in it. */
export async function startInherited(seed: number): Promise<InheritedRegistry> {
  const folder = await temporaryFolder();
  const store = join(folder, "data");
  await writeStore(store, oldStore("0.9.1", seed).files);
  const flavor = `{ storage: local, storage_path: ${store}, http: { port: ${await freePort()} } }`;
  await writeFile(join(folder, "config.yml"), `dev: ${flavor}`);
  const server = await startRegistry({
    ...{ storage: "local", storage_path: store, search_backend: "database" },
    sqlalchemy_index_database: `sqlite:///${folder}/search.db`,
  });
  return {
    folder,
    server,
    close: async () => {
      await server.close();
      await removeFolder(folder);
    },
  };
}

/** The ways in which a command reaches it, each with its arguments, that are known once it runs. */
export function waysTo(registry: () => InheritedRegistry) {
  return [
    { way: "over HTTP", args: () => ["--url", registry().server.url] },
    { way: "from the storage", args: () => ["--config", "config.yml"] },
  ] as const;
}
