import { mkdir } from "node:fs/promises";
import type { Store, StoreServer } from "../stores/store.ts";
import type { Contestant } from "./contestant.ts";
import { killedToo } from "./service.ts";

/**
 * registryctl on an object store, and the store's client that uses the same server without any registry. `redirect` lets
 * registryctl send clients to the store.
 */
export function onStore(
  ours: Contestant | undefined,
  store: Store,
  { redirect }: { readonly redirect: boolean },
): readonly Contestant[] {
  if (!ours) throw new Error("nobody is measured");
  const shared = new SharedServer(store);
  return [
    {
      ...ours,
      async start(folder) {
        const server = await shared.open();
        try {
          const place = await server.newPlace(folder);
          const started = await ours.start(folder, { storage: { ...place.settings, storage_redirect: redirect } });
          const stop = async (): Promise<void> => {
            await started.stop();
            await shared.close();
          };
          return { ...started, place, stop };
        } catch (error) {
          await shared.close();
          throw error;
        }
      },
    },
    {
      name: store.client,
      speaksV1: false,
      async start(folder) {
        const server = await shared.open();
        try {
          await mkdir(folder, { recursive: true });
          const place = await server.newPlace(folder);
          const stop = async (): Promise<void> => {
            await shared.close();
          };
          return { url: server.url, pids: [], readyAfter: Number.NaN, place, stop };
        } catch (error) {
          await shared.close();
          throw error;
        }
      },
    },
  ];
}

/** One server for all contestants, each with a place of its own; stopped by the last. */
class SharedServer {
  readonly #store: Store;
  #server: Promise<StoreServer> | undefined;
  #users = 0;
  #forget: () => void = () => undefined;

  constructor(store: Store) {
    this.#store = store;
  }

  async open(): Promise<StoreServer> {
    this.#server ??= this.#store.launch();
    const server = await this.#server;
    if (this.#users++ === 0) this.#forget = killedToo(() => server.stop());
    return server;
  }

  async close(): Promise<void> {
    if (--this.#users > 0) return;
    this.#forget();
    await (await this.#server)?.stop();
  }
}
