import { mkdir } from "node:fs/promises";
import type { Place, Store, StoreServer } from "../stores/store.ts";
import type { Contestant, Server } from "./contestant.ts";
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
      start: async (folder) =>
        await shared.use(folder, async ({ settings }) => {
          return await ours.start(folder, { storage: { ...settings, storage_redirect: redirect } });
        }),
    },
    {
      name: store.client,
      speaksV1: false,
      start: async (folder) =>
        await shared.use(folder, async (_place, { url }) => {
          return await Promise.resolve({ url, pids: [], readyAfter: Number.NaN, stop: () => Promise.resolve() });
        }),
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

  /** Makes a place in `folder`, and starts who uses it. */
  async use(folder: string, start: (place: Place, server: StoreServer) => Promise<Server>): Promise<Server> {
    const server = await this.#open();
    try {
      await mkdir(folder, { recursive: true });
      const place = await server.newPlace(folder);
      const started = await start(place, server);
      const stop = async (): Promise<void> => {
        await started.stop();
        await this.#close();
      };
      return { ...started, place, stop };
    } catch (error) {
      await this.#close();
      throw error;
    }
  }

  async #open(): Promise<StoreServer> {
    this.#server ??= this.#store.launch();
    const server = await this.#server;
    if (this.#users++ === 0) this.#forget = killedToo(() => server.stop());
    return server;
  }

  async #close(): Promise<void> {
    if (--this.#users > 0) return;
    this.#forget();
    await (await this.#server)?.stop();
  }
}
