import { compareKeys } from "./key-order.ts";
import type { StorageDriver } from "./driver.ts";

/** What a driver can't do without; the rest of `StorageDriver` follows from it, if more slowly than a backend may do it. */
export type Basics = Pick<StorageDriver, "name" | "read" | "write" | "stat" | "list" | "delete"> &
  Partial<StorageDriver>;

/**
 * A whole driver from what its author has written. What is left out comes of the rest: `copy` reads and writes, `move` and
 * `link` copy, `children` lists all that is below, `ping` asks for the first object, and there are no paths and no URLs.
 */
export function completed(basics: Basics): StorageDriver {
  const { name } = basics;
  const driver: StorageDriver = {
    name,
    features: basics.features ?? { redirect: false, localFiles: false },
    ...(basics.append && { append: basics.append.bind(basics) }),
    ...(basics.writeInSteps && { writeInSteps: basics.writeInSteps.bind(basics) }),
    read: async (key, range) => await basics.read(key, range),
    write: async (key, source, size) => await basics.write(key, source, size),
    stat: async (key) => await basics.stat(key),
    list: (prefix, after) => basics.list(prefix, after),
    delete: async (key) => {
      await basics.delete(key);
    },
    children: basics.children?.bind(basics) ?? ((prefix, after) => namesBelow(basics, prefix, after)),
    copy:
      basics.copy?.bind(basics) ??
      (async (from, to) => {
        const { size } = await basics.stat(from);
        if (from !== to) await basics.write(to, await basics.read(from), size);
      }),
    move:
      basics.move?.bind(basics) ??
      (async (from, to) => {
        await driver.copy(from, to);
        if (from !== to) await basics.delete(from);
      }),
    link:
      basics.link?.bind(basics) ??
      (async (from, to) => {
        await driver.copy(from, to);
      }),
    redirectUrl: basics.redirectUrl?.bind(basics) ?? nothing,
    localPath: basics.localPath?.bind(basics) ?? (() => undefined),
    ping:
      basics.ping?.bind(basics) ??
      (async () => {
        for await (const { key } of basics.list("")) if (key !== "") return;
      }),
    close: basics.close?.bind(basics) ?? nothing,
  };
  return driver;
}

/** The names of folders lie together in a listing, but for what sorts between `b` and `b/`, such as `b-c`. */
async function* namesBelow(basics: Basics, prefix: string, after = ""): AsyncGenerator<string> {
  const start = prefix === "" ? 0 : prefix.length + 1;
  const names = new Set<string>();
  for await (const { key } of basics.list(prefix)) names.add(key.slice(start).split("/", 1)[0] ?? "");
  for (const name of [...names].sort(compareKeys)) if (compareKeys(name, after) > 0) yield name;
}

async function nothing(): Promise<undefined> {
  await Promise.resolve();
  return undefined;
}
