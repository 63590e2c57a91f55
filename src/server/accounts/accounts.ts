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
  /** The account as it is now, for tokens that were given earlier; undefined once it is removed. */
  find(name: string): Promise<Account | undefined>;
  /**
   * Makes an account. Rejects with DATA_INVALID when the name or the password will not do, and with ACCOUNT_EXISTS when
   * there is one.
   */
  create(name: string, password: string): Promise<void>;
  close(): Promise<void>;
}
