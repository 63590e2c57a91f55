import { resolve } from "node:path";
import type { StorageDriver } from "../../drivers/storage/driver.ts";
import type { Log } from "../log.ts";
import { AccountFiles, type AccountSettings } from "./account-files.ts";
import type { FailureCount } from "./attempts.ts";
import { FileAccounts } from "./file-accounts.ts";
import { Hashing } from "./hashing.ts";
import { KeyStore } from "./key-store.ts";

/** What a key lets its bearer do; never more than its account may. */
export interface KeyLimits {
  readonly id: string;
  /** Globs of names of repositories. */
  readonly repositories: readonly string[];
  readonly actions: readonly KeyAction[];
}

/** What can be done to a repository. */
export type KeyAction = "pull" | "push" | "delete";

/** Somebody who has shown who they are. */
export interface Account {
  readonly name: string;
  readonly groups: readonly string[];
  /** What the key that was shown restricts them to; undefined: all that the account may. */
  readonly key?: KeyLimits;
}

/** Everybody who can log in. */
export interface Accounts {
  /**
   * The account, or undefined when name and password don't match. `password` may be one of its keys. Slow for wrong ones,
   * off the event loop, and quick for those that were right a moment ago. Rejects with TOOMANYREQUESTS when this account
   * has failed too often from `address`, or when more is to be checked than can be. `address` is the client's.
   */
  verify(name: string, password: string, address: string): Promise<Account | undefined>;
  /** Another object whenever an account may have changed, API keys aside. */
  state(): Promise<object>;
  /** The same at once; undefined where one has to look first. */
  peekState(): object | undefined;
  /**
   * The account as it is now, for tokens that were given earlier; undefined once it is removed. With the id of the API key
   * that was shown then: undefined too once that key is removed or expired, and otherwise with its limits.
   */
  find(name: string, keyId?: string): Promise<Account | undefined>;
  /** A text that is another once the account's password is; it tells nothing of it. Undefined for no account. */
  stamp(name: string): Promise<string | undefined>;
  /**
   * Makes an account. Rejects with DATA_INVALID when the name or the password will not do, with ACCOUNT_EXISTS when there
   * is one, and with TOOMANYREQUESTS: what is made counts as a failed login does.
   */
  create(name: string, password: string, address: string): Promise<void>;
  close(): Promise<void>;
}

/** What accounts are opened with. */
export interface AccountsEnvironment {
  /** Relative paths of the settings are below it. */
  readonly folder: string;
  /** The store, where API keys are. */
  readonly driver: StorageDriver;
  readonly log: Pick<Log, "error">;
  readonly attempts: FailureCount;
}

/**
 * The accounts that `auth.htpasswd` and `auth.groups` name, with the API keys of the store. Rejects when a file can't be
 * read; later changes of the files are seen within a second, and what can't be read of them is logged and changes nothing.
 */
export async function openAccounts(settings: AccountSettings, environment: AccountsEnvironment): Promise<Accounts> {
  const { folder, driver, log, attempts } = environment;
  const files = await AccountFiles.open(settings, {
    folder,
    onFault: (err) => {
      log.error({ err }, "A file of accounts has changed and can't be used: what it said before counts");
    },
  });
  const path = resolve(folder, settings.htpasswd);
  return new FileAccounts({ path, files, keys: new KeyStore(driver), hashing: new Hashing(), attempts });
}
