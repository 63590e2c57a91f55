import { DriverError, isNotFound } from "../errors.ts";
import { compareKeys } from "../key-order.ts";
import { KeyedLock } from "../keyed-lock.ts";
import { deletedBytes, folderBytes, formOf, mayBeSpecial, type Form } from "./forms.ts";
import { dateOf, type Objects } from "./objects.ts";
import type { Tag, Tags } from "./tags.ts";

/** What lies under a key. `size` is that of the stored bytes, `groups` have the newest ones, best first. */
export interface Found {
  readonly form: Form;
  readonly size: number;
  readonly modified: Date;
  readonly groups: readonly number[];
}

/** The tag of objects that some group may still have, and of contents of which it isn't sure that an object refers to them. */
export const pendingTag = "registryctl//pending";

/** So many objects are asked for at once. */
const lanes = 32;

/**
 * Which keys there are, as the Python registry's driver keeps them: every object has the tag `docker` and that of its folder,
 * and every folder is an object too. Nothing of that is atomic, so whoever makes something looks afterwards whether it is
 * still to be found, and whoever takes something away looks whether it is needed again: of two at the same time, at least
 * one sees what the other did.
 */
export class Directory {
  readonly #objects: Objects;
  readonly #tags: Tags;
  readonly #folders = new KeyedLock();
  readonly #tidying = new Map<string, Promise<boolean>>();

  constructor(objects: Objects, tags: Tags) {
    this.#objects = objects;
    this.#tags = tags;
  }

  /** What lies under the key, undefined where nothing does. */
  async find(key: string): Promise<Found | undefined> {
    const found = await this.#stored(key);
    return found?.form.kind === "deleted" ? undefined : found;
  }

  /**
   * Makes the object listed, and writes it by `write`. First it is tagged: what exists is listed, and what is listed without
   * existing is passed over. Rejects with INVALID_KEY where a folder is an object.
   */
  async place<T>(key: string, write: () => Promise<T>, others: readonly Tag[] = []): Promise<T> {
    const tags = [...tagsOf(key), ...others];
    const list = async (): Promise<void> => {
      const [isListed] = await Promise.all([this.#tags.has(key, tags), this.#makeFolder(folderOf(key))]);
      if (!isListed) await this.#tags.add(key, tags);
    };
    await list();
    const result = await write();
    await list();
    return result;
  }

  /**
   * Takes away what is at the key, which is there, and what says so. Answers whether it was this call that took it away. Where a
   * group is away it would bring the object back: what is newer says in the others that it is none, and is pending.
   */
  async remove(key: string): Promise<boolean> {
    // Where too few groups could follow, none begins.
    await this.#tags.hasAny(key);
    const { wasThere, isComplete } = await this.#objects.remove(key);
    if (isComplete) {
      await this.unlist(key);
    } else {
      await this.#tags.add(key, [...tagsOf(key), { name: pendingTag, data: `deleted ${key}` }]);
      await this.#objects.write(key, deletedBytes);
    }
    return wasThere;
  }

  /** As `remove`, of what is pending. What has been written since then is pending no longer: of its tags `others` are left beside the usual. */
  async removeAgain(key: string, others: readonly Tag[]): Promise<void> {
    await this.#folders.run(key, async () => {
      if (await this.find(key)) {
        await this.#tags.replace(key, [...tagsOf(key), ...others]);
        return;
      }
      const { isComplete } = await this.#objects.remove(key);
      if (isComplete) await this.unlist(key);
      // It may have been a folder, which somebody else needs again.
      if (await this.#hasObject(key)) await this.#placeFolder(key);
    });
  }

  /** Takes the tags from a key that nothing is at. */
  async unlist(key: string): Promise<void> {
    if ((await this.#tags.hasAny(key)) && !(await this.#stored(key))) await this.#tags.replace(key, []);
    if (await this.find(key)) await this.#tags.add(key, tagsOf(key));
  }

  /** Takes away the folder, and those above it, where there is no object below. */
  async tidy(folder: string): Promise<void> {
    if (folder === "") return;
    const queued = this.#tidying.get(folder);
    const tidying = queued ?? this.#folders.run(folder, async () => {
      // From here on somebody else may have to look again.
      this.#tidying.delete(folder);
      return await this.#removeIfEmpty(folder);
    }); // prettier-ignore
    if (!queued) this.#tidying.set(folder, tidying);
    if (await tidying) await this.tidy(folderOf(folder));
  }

  /** The keys directly below the folder that were tagged, in no order: objects, folders, and what is none any more. */
  async keysIn(folder: string): Promise<readonly string[]> {
    return (await this.#tags.all(folder)).filter((key) => isIn(key, folder));
  }

  /** What lies under those of the keys that something lies under, in their order. */
  async *each(keys: readonly string[]): AsyncGenerator<Found & { readonly key: string }> {
    for (let at = 0; at < keys.length; at += lanes) {
      const some = keys.slice(at, at + lanes);
      const found = await Promise.all(some.map(async (key) => await this.find(key)));
      for (const [index, key] of some.entries()) {
        const one = found[index];
        if (one) yield { ...one, key };
      }
    }
  }

  /** As `find`, but tells what says that it is deleted, too. */
  async #stored(key: string): Promise<Found | undefined> {
    try {
      return await this.#inspect(key);
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  async #inspect(key: string): Promise<Found> {
    const answers = await this.#objects.lookup(key);
    const groups = answers.map(({ group }) => group);
    const { size, time } = answers[0]?.value ?? { size: 0, time: { seconds: 0, nanoseconds: 0 } };
    if (!mayBeSpecial(size)) return { form: { kind: "plain" }, size, modified: dateOf(time), groups };
    const content = await this.#objects.read(key, { offset: 0, size }, groups);
    const form: Form = content.totalSize === size ? formOf(content.bytes) : { kind: "plain" };
    return { form, size: content.totalSize, modified: dateOf(content.time), groups };
  }

  async #removeIfEmpty(folder: string): Promise<boolean> {
    if ((await this.find(folder))?.form.kind !== "folder" || (await this.#hasObject(folder))) return false;
    await this.remove(folder);
    const isGone = !(await this.#hasObject(folder));
    if (!isGone) await this.#placeFolder(folder);
    return isGone;
  }

  async #makeFolder(folder: string): Promise<void> {
    if (folder === "" || (await this.#isFolder(folder))) return;
    await this.#folders.run(folder, async () => {
      if (!(await this.#isFolder(folder))) await this.#placeFolder(folder);
    });
  }

  async #isFolder(folder: string): Promise<boolean> {
    const found = await this.find(folder);
    if (found && found.form.kind !== "folder") throw new DriverError("INVALID_KEY", `${folder} is an object, there can't be others below it`); // prettier-ignore
    return found !== undefined;
  }

  async #placeFolder(folder: string): Promise<void> {
    await this.place(folder, async () => await this.#objects.write(folder, folderBytes));
  }

  /** What was tagged and never written, or not untagged after it was deleted, is left out, and untagged. */
  async #hasObject(folder: string): Promise<boolean> {
    for await (const keys of this.#tags.find(folder)) {
      for (const key of new Set(keys)) {
        if (!isIn(key, folder)) continue;
        const found = await this.find(key);
        if (found === undefined) await this.unlist(key);
        else if (found.form.kind !== "folder" || (await this.#hasObject(key))) return true;
      }
    }
    return false;
  }
}

/** The folder that a key is in; `""` is the one at the top. */
export function folderOf(key: string): string {
  return key.slice(0, Math.max(0, key.lastIndexOf("/")));
}

/** Objects below `prefix` and beyond `after`, in byte order of whole keys. */
export async function* walk(
  directory: Directory,
  prefix: string,
  after: string,
): AsyncGenerator<Found & { readonly key: string }> {
  const keys = (await directory.keysIn(prefix)).filter((key) => compareKeys(after, `${key}0`) < 0).sort(compareKeys);
  // Folders wait for their place: `b` stands behind `b-c`, whose objects come before `b/c`.
  const waiting: string[] = [];
  for await (const found of directory.each(keys)) {
    while (waiting.length > 0 && compareKeys(`${waiting.at(-1) ?? ""}/`, found.key) < 0)
      yield* walk(directory, waiting.pop() ?? "", after);
    if (found.form.kind === "folder") waiting.push(found.key);
    else if (compareKeys(found.key, after) > 0) yield found;
  }
  while (waiting.length > 0) yield* walk(directory, waiting.pop() ?? "", after);
}

/** In the order of the original driver, whose listings take what is kept with the first. */
function tagsOf(key: string): readonly Tag[] {
  return [
    { name: "docker", data: key },
    { name: folderOf(key), data: key },
  ];
}

function isIn(key: string, folder: string): boolean {
  const start = folder === "" ? 0 : folder.length + 1;
  return key.length > start && folderOf(key) === folder && (folder === "" || key.startsWith(`${folder}/`));
}
