import { createHash, hash as codeOf, randomBytes } from "node:crypto";
import { LRUCache } from "lru-cache";
import { RegistryError } from "../errors.ts";
import { assertAcceptable, addUser } from "./user-list.ts";
import type { AccountFiles, Directory } from "./account-files.ts";
import type { Account, Accounts, KeyLimits } from "./accounts.ts";
import { isKey, keyId } from "./api-key.ts";
import type { FailureCount } from "./attempts.ts";
import { groupsWith } from "./group-file.ts";
import { usualCost } from "./hash-scheme.ts";
import type { Asker, Hashing } from "./hashing.ts";
import type { KeyStore, StoredKey } from "./key-store.ts";
import type { PasswordCheck } from "./password-hash.ts";
import { network } from "./network.ts";

/** What the accounts are made of; `close` closes none but `hashing`. */
export interface AccountParts {
  readonly path: string;
  readonly files: AccountFiles;
  readonly keys: KeyStore;
  readonly hashing: Hashing;
  readonly attempts: FailureCount;
}

/** So many logins are kept in mind, and for so many milliseconds. */
const mostKept = 10_000;
const rightMilliseconds = 5 * 60 * 1000;
const wrongMilliseconds = 10 * 60 * 1000;

/** Longer texts are nobody's password. */
const longestPassword = 1024;
const longestName = 255;

/** Accounts of an htpasswd file and API keys. */
export class FileAccounts implements Accounts {
  readonly #parts: AccountParts;
  /** Logins are kept by a code of this process, never as what was typed. */
  readonly #secret = randomBytes(32).toString("hex");
  readonly #right = new LRUCache<string, true>({ max: mostKept, ttl: rightMilliseconds });
  readonly #wrong = new LRUCache<string, true>({ max: mostKept, ttl: wrongMilliseconds });
  readonly #running = new Map<string, Promise<KeyLimits | "none" | undefined>>();

  constructor(parts: AccountParts) {
    this.#parts = parts;
  }

  async verify(name: string, password: string, address: string): Promise<Account | undefined> {
    if (password.length > longestPassword || name.length > longestName || password.includes("\0")) return undefined;
    const directory = await this.#parts.files.current();
    const hash = directory.users.get(name)?.hash;
    const login = this.#codeOf([name, hash ?? "", password]);
    // Who sends the same wrong password again and again, as forgotten machines do, learns nothing by it and costs nothing.
    if (this.#wrong.has(login)) return undefined;
    // Many requests of one client come at once: they are one attempt.
    const lane = network(address);
    const client = `${login} ${lane}`;
    let running = this.#running.get(client);
    if (!running) {
      const check = { password, hash, failsAtCost: directory.failsAtCost };
      running = this.#attempt(name, check, login, lane).finally(() => this.#running.delete(client));
      this.#running.set(client, running);
    }
    const limits = await running;
    const account = limits && accountOf(name, directory);
    return account && (limits === "none" ? account : { ...account, key: limits });
  }

  async state(): Promise<object> {
    return await this.#parts.files.current();
  }

  peekState(): object | undefined {
    return this.#parts.files.peek();
  }

  async find(name: string, keyId?: string): Promise<Account | undefined> {
    const account = accountOf(name, await this.#parts.files.current());
    if (!account || keyId === undefined) return account;
    const key = limitsOf(await this.#parts.keys.find(keyId), name);
    return key && { ...account, key };
  }

  async stamp(name: string): Promise<string | undefined> {
    const user = (await this.#parts.files.current()).users.get(name);
    return user && createHash("sha256").update(`stamp ${user.hash}`).digest("base64url").slice(0, 22);
  }

  async create(name: string, password: string, address: string): Promise<void> {
    assertAcceptable({ name, password });
    const { files, hashing, keys, path, attempts } = this.#parts;
    if ((await files.current()).users.has(name)) throw new RegistryError("ACCOUNT_EXISTS");
    const lane = network(address);
    (await attempts.begin(name, lane)).end("wrong");
    const hash = await hashing.hash(password, usualCost, { lane, isKnown: false });
    // Keys of somebody who had that name before are not theirs.
    await keys.removeOf(name);
    await addUser(path, name, hash);
    await files.look();
  }

  async close(): Promise<void> {
    await this.#parts.hashing.close();
  }

  /** The limits of who logs in so, or "none"; undefined when the password, or key, is wrong. */
  async #attempt(
    name: string,
    check: PasswordCheck,
    login: string,
    lane: string,
  ): Promise<KeyLimits | "none" | undefined> {
    // Who has been found right a moment ago does not wait for those who guess beside them.
    const wasRight = this.#right.has(login);
    const attempt = wasRight ? undefined : await this.#parts.attempts.begin(name, lane);
    try {
      const id = keyId(check.password);
      const limits =
        id === undefined
          ? await this.#byPassword(check, wasRight, { lane, isKnown: attempt?.isKnown ?? true })
          : await this.#byKey(id, name, check.password);
      if (!limits) this.#wrong.set(login, true);
      else if (!wasRight) this.#right.set(login, true);
      attempt?.end(limits ? "right" : "wrong");
      return limits;
    } catch (error) {
      attempt?.end("unseen");
      throw error;
    }
  }

  async #byPassword(check: PasswordCheck, wasRight: boolean, asker: Asker): Promise<"none" | undefined> {
    return wasRight || (await this.#parts.hashing.check(check, asker)) ? "none" : undefined;
  }

  async #byKey(id: string, name: string, key: string): Promise<KeyLimits | undefined> {
    const stored = await this.#parts.keys.find(id);
    return stored && isKey(key, stored.hash) ? limitsOf(stored, name) : undefined;
  }

  #codeOf(parts: readonly string[]): string {
    return codeOf("sha256", this.#secret + JSON.stringify(parts), "base64");
  }
}

function accountOf(name: string, { users, groups }: Directory): Account | undefined {
  return users.has(name) ? { name, groups: groupsWith(groups, name) } : undefined;
}

/** What a key lets this account do; undefined when it is somebody else's, or expired. */
function limitsOf(key: StoredKey | undefined, name: string): KeyLimits | undefined {
  if (key?.name !== name) return undefined;
  const { id, repositories, actions, expires } = key;
  return expires && expires.getTime() <= Date.now() ? undefined : { id, repositories, actions };
}
