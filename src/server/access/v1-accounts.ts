import type { Accounts } from "../accounts/accounts.ts";
import { RegistryError } from "../errors.ts";
import type { Digest } from "../registry/digest.ts";
import type { ImageOwners } from "../registry/image-owners.ts";
import type { ImageId, RepositoryName } from "../registry/names.ts";
import type { Action, Caller } from "./caller.ts";
import type { Doorkeeper, Visit } from "./doorkeeper.ts";
import { repositoryOfRuleName, ruleName } from "./rules.ts";
import type { Tokens } from "./tokens.ts";
import { wantedBy, type V1Access, type V1TokenAccess } from "./v1-access.ts";

/** What V1's access by accounts works with. */
export interface V1AccountsParts {
  readonly doorkeeper: Doorkeeper;
  readonly tokens: Tokens;
  readonly owners: ImageOwners;
  /** Undefined where certificates alone say who somebody is. */
  readonly accounts: Pick<Accounts, "stamp"> | undefined;
}

/**
 * How long the token of an index is good for, in seconds: docker pushes all of an image with one. It ends with its account
 * and its password, and what rules no longer allow it does not either.
 */
const tokenSeconds = 12 * 3600;

const actionsOfAccess: Readonly<Record<V1TokenAccess, readonly Action[]>> = {
  read: ["pull"],
  write: ["pull", "push"],
  delete: ["delete"],
};

/**
 * V1 by accounts and rules. Clients of the index show their password and get a token for one repository; both are taken
 * everywhere. An image is shown to whoever has pushed all of it, and to who may pull one of the repositories that have it;
 * to a token, if its repository is one of them. For all others it is not there. But there is one image of an id, for all
 * repositories: whoever pushes one of an id that is taken, by whatever other image, is told so. Nothing else is told of it.
 */
export class V1Accounts implements V1Access {
  readonly #doorkeeper: Doorkeeper;
  readonly #tokens: Tokens;
  readonly #owners: ImageOwners;
  readonly #accounts: V1AccountsParts["accounts"];

  constructor({ doorkeeper, tokens, owners, accounts }: V1AccountsParts) {
    this.#accounts = accounts;
    this.#doorkeeper = doorkeeper;
    this.#tokens = tokens;
    this.#owners = owners;
  }

  async authorize(visit: Visit, repository?: RepositoryName, reference?: string): Promise<void> {
    const name = repository && ruleName(repository);
    await this.#doorkeeper.admit(visit, wantedBy(visit, { repository: name, reference }));
  }

  async authorizeImage(visit: Visit, image: ImageId): Promise<void> {
    const wanted = wantedBy(visit, { reference: image });
    const caller = await this.#doorkeeper.admit(visit, wanted);
    // What is pushed is asked for when it is known how.
    if (wanted.action !== "pull" || (await this.#isShown(caller, image))) return;
    if (!caller.isKnown) throw this.#doorkeeper.refused(visit, wanted, caller);
    const unknown = new RegistryError("IMAGE_UNKNOWN");
    throw (await this.#owners.isAnybodys(image)) ? this.#doorkeeper.hidden(visit, wanted, caller, unknown) : unknown;
  }

  /** `authorizeImage` has looked. */
  async shows(): Promise<boolean> {
    return await Promise.resolve(true);
  }

  /** An image that nobody has is anybody's. */
  async mayPush(): Promise<boolean> {
    return await Promise.resolve(true);
  }

  async mayFinish(visit: Visit, image: ImageId): Promise<boolean> {
    const caller = await this.#doorkeeper.admitted(visit);
    if (caller.mayEverything === true || (await this.#owners.isBeingPushedBy(pusher(caller), image))) return true;
    return await this.#owners.isPushedBy(pusher(caller), image);
  }

  async mayUse(visit: Visit, image: ImageId): Promise<boolean> {
    const caller = await this.#doorkeeper.admitted(visit);
    if (caller.seesAll || (await this.#hasPushed(caller, image))) return true;
    return (await this.#visibleIn(caller, image)) !== undefined;
  }

  async notePush(visit: Visit, image: ImageId, payload?: Digest): Promise<void> {
    await this.#owners.notePush(image, pusher(await this.#doorkeeper.admitted(visit)), payload);
  }

  async noteComplete(visit: Visit, image: ImageId, checksums: readonly string[]): Promise<void> {
    await this.#owners.noteComplete(image, pusher(await this.#doorkeeper.admitted(visit)), checksums);
  }

  async noteImages(visit: Visit, images: readonly ImageId[], repository?: RepositoryName): Promise<void> {
    const [image] = images;
    if (image === undefined) return;
    const caller = await this.#doorkeeper.admitted(visit);
    const has = repository ?? (await this.#repositoryFor(caller, image));
    if (has) await this.#owners.noteRepository(has, images);
  }

  async sign(visit: Visit, repository: RepositoryName, access: V1TokenAccess): Promise<string> {
    const name = ruleName(repository);
    const caller = await this.#doorkeeper.admitted(visit);
    const actions = actionsOfAccess[access].filter((action) => caller.may(action, name));
    const subject = caller.isKnown ? caller.name : "";
    const stamp = subject === "" ? undefined : await this.#accounts?.stamp(subject);
    const content = { subject, scopes: [{ type: "repository", name, actions }], key: caller.key?.id, stamp };
    return await this.#tokens.issue("v1", content, tokenSeconds);
  }

  async lister(visit: Visit): Promise<Caller> {
    return await this.#doorkeeper.admit(visit, { action: "list" });
  }

  async login(visit: Visit): Promise<void> {
    const wanted = { action: "login" } as const;
    const caller = await this.#doorkeeper.admit(visit, wanted);
    if (!caller.isKnown) throw this.#doorkeeper.refused(visit, wanted, caller);
  }

  noteSignup(visit: Visit, name: string): void {
    this.#doorkeeper.note(visit, name, { action: "signup" });
  }

  async #isShown(caller: Caller, image: ImageId): Promise<boolean> {
    if (caller.boundTo === undefined && caller.seesAll) return true;
    if (await this.#hasPushed(caller, image)) return true;
    return (await this.#repositoryFor(caller, image)) !== undefined;
  }

  /** Who only reads one repository is shown nothing of others. */
  async #hasPushed(caller: Caller, image: ImageId): Promise<boolean> {
    if (caller.boundTo !== undefined && !caller.may("push", caller.boundTo)) return false;
    return await this.#owners.isPushedBy(pusher(caller), image);
  }

  /** The repository through which the image is shown to these credentials. */
  async #repositoryFor(caller: Caller, image: ImageId): Promise<RepositoryName | undefined> {
    if (caller.boundTo === undefined) return await this.#visibleIn(caller, image);
    const own = repositoryOfRuleName(caller.boundTo);
    return own && (await this.#owners.isIn(own, image)) ? own : undefined;
  }

  /** A repository that has the image, and that whoever it is may pull. */
  async #visibleIn(caller: Caller, image: ImageId): Promise<RepositoryName | undefined> {
    for await (const repository of this.#owners.repositoriesOf(image)) {
      if (caller.sees(ruleName(repository))) return repository;
    }
    return undefined;
  }
}

/** Whose push it is: what an account has pushed is not shown to an API key of it, which may be for less. */
function pusher({ name, key }: Caller): string {
  return key === undefined ? name : `${name}:${key.id}`;
}
