import { resolve } from "node:path";
import { bcryptCost } from "./hash-scheme.ts";
import { groupsOf, parseGroups, type Groups } from "./group-file.ts";
import { parseUsers, type LineFault, type ParsedUsers } from "./user-file.ts";
import { WatchedFile, type WatchedFileOptions } from "./watched-file.ts";

/** Where accounts are written down: the section `auth` of a configuration. */
export interface AccountSettings {
  readonly htpasswd: string;
  /** The path of a group file, or the users of each group. */
  readonly groups?: string | Readonly<Record<string, readonly string[]>> | undefined;
}

/** Who there is. */
export interface Directory {
  readonly users: ParsedUsers["users"];
  readonly groups: Groups;
  /** As `PasswordCheck` wants it. */
  readonly failsAtCost: number;
}

/** The cost of checks that fail where the file has no bcrypt. */
const costOfFailure = 10;

type Watching = Pick<WatchedFileOptions<unknown>, "onFault" | "interval">;

/** The files that name accounts and groups, as they are now. */
export class AccountFiles {
  readonly #users: WatchedFile<Omit<Directory, "groups">>;
  readonly #groups: WatchedFile<Groups> | Groups;
  #last: Directory | undefined;

  private constructor(users: WatchedFile<Omit<Directory, "groups">>, groups: WatchedFile<Groups> | Groups) {
    this.#users = users;
    this.#groups = groups;
  }

  /**
   * Reads the files; relative paths are below `folder`. Rejects with the file and the lines that can't be read; later
   * faults are told to `onFault`, and what the file said before counts on.
   */
  static async open(
    { htpasswd, groups = {} }: AccountSettings,
    { folder, ...watching }: Watching & { readonly folder: string },
  ): Promise<AccountFiles> {
    const users = await opened("auth.htpasswd", resolve(folder, htpasswd), usersOf, watching);
    if (typeof groups !== "string") return new AccountFiles(users, groupsOf(groups));
    return new AccountFiles(users, await opened("auth.groups", resolve(folder, groups), groupsIn, watching));
  }

  /** The same object as long as nothing has changed. */
  async current(): Promise<Directory> {
    const groups = this.#groups instanceof WatchedFile ? await this.#groups.current() : this.#groups;
    return this.#directory(await this.#users.current(), groups);
  }

  /** The same at once; undefined where files have to be looked at first. */
  peek(): Directory | undefined {
    const users = this.#users.peek();
    const groups = this.#groups instanceof WatchedFile ? this.#groups.peek() : this.#groups;
    return users && groups && this.#directory(users, groups);
  }

  /** Sees at once what has just been changed. */
  async look(): Promise<void> {
    await this.#users.look();
  }

  #directory(users: Omit<Directory, "groups">, groups: Groups): Directory {
    if (this.#last?.users !== users.users || this.#last.groups !== groups) this.#last = { ...users, groups };
    return this.#last;
  }
}

async function opened<T>(
  option: string,
  path: string,
  parse: (text: string) => T,
  { onFault, ...watching }: Watching,
): Promise<WatchedFile<T>> {
  const explained = (cause: unknown): Error => new Error(`${option}: ${path} can't be used`, { cause });
  try {
    return await WatchedFile.open({
      ...watching,
      path,
      parse,
      onFault: (cause) => {
        onFault(explained(cause));
      },
    });
  } catch (cause) {
    throw explained(cause);
  }
}

function usersOf(text: string): Omit<Directory, "groups"> {
  const { users, faults } = parseUsers(text);
  if (faults.length > 0) throw new Error(faultText(faults));
  const costs = [...users.values()].flatMap(({ hash }) => bcryptCost(hash) ?? []);
  return { users, failsAtCost: costs.length === 0 ? costOfFailure : Math.max(...costs) };
}

function groupsIn(text: string): Groups {
  const { groups, faults } = parseGroups(text);
  if (faults.length > 0) throw new Error(faultText(faults));
  return groups;
}

/** So many lines are named at most. */
const mostNamed = 10;

function faultText(faults: readonly LineFault[]): string {
  const lines = faults.slice(0, mostNamed).map(({ line, problem }) => `line ${line} ${problem}`);
  const more = faults.length - lines.length;
  return lines.join("; ") + (more > 0 ? `; and ${more} more` : "");
}
