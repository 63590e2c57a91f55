import { randomInt, type KeyObject } from "node:crypto";
import type { Digest } from "../registry/digest.ts";
import type { ImageId, RepositoryName } from "../registry/names.ts";
import type { Visibility } from "../registry/repositories.ts";
import type { AccessRequest } from "./access.ts";
import { noAudit, type Audit } from "./audit.ts";
import { unrestricted, type Caller, type RepositoryWanted } from "./caller.ts";
import { parseToken, type V1Token } from "./credentials.ts";
import type { Visit } from "./doorkeeper.ts";
import { ruleName } from "./rules.ts";
import { verify } from "./signature.ts";

/** What a token of V1 is for. */
export type V1TokenAccess = "read" | "write" | "delete";

/** Decides what requests of V1 clients may do, and keeps what it decides by. */
export interface V1Access {
  /** Rejects unless the request may do what its method says, to `repository` where one is named. */
  authorize(visit: Visit, repository?: RepositoryName, reference?: string): Promise<void>;
  /** Rejects unless the request may have to do with the image at all; before anything of it is told. */
  authorizeImage(visit: Visit, image: ImageId): Promise<void>;
  /** Whether a complete image is shown through a door: `/v1/images` or `/v1/private_images`. */
  shows(visit: Visit, image: ImageId, door: "open" | "private"): Promise<boolean>;
  /** Whether the image is one of those that the request may begin to push. */
  mayPush(visit: Visit, image: ImageId): Promise<boolean>;
  /** Whether it may go on with a push of the image that somebody has begun. */
  mayFinish(visit: Visit, image: ImageId): Promise<boolean>;
  /** Whether the request may build upon, or name by a tag, an image that may be another repository's. */
  mayUse(visit: Visit, image: ImageId): Promise<boolean>;
  /** Takes note that the request has begun to push the image; with a checksum, that it has sent the layer. */
  notePush(visit: Visit, image: ImageId, payload?: Digest): Promise<void>;
  /** Takes note that the image is complete, with these checksums. */
  noteComplete(visit: Visit, image: ImageId, checksums: readonly string[]): Promise<void>;
  /** Takes note of images that a repository has; without one, of the ancestors of an image that is read. */
  noteImages(visit: Visit, images: readonly ImageId[], repository?: RepositoryName): Promise<void>;
  /** The signature of the token that a client of the index is given. */
  sign(visit: Visit, repository: RepositoryName, access: V1TokenAccess): Promise<string>;
  /** Who asks for a list. */
  lister(visit: Visit): Promise<Pick<Caller, "sees" | "seesAll">>;
  /** Rejects unless the request comes from an account, where there are any. */
  login(visit: Visit): Promise<void>;
  /** Takes note that the request is to make an account. */
  noteSignup(visit: Visit, name: string): void;
}

/** What decides where there are no accounts. */
export interface V1Decisions {
  authorize(request: AccessRequest, repository?: RepositoryName): Promise<void>;
  /** The repository that the request's token is for; undefined without a token and for privileged requests. */
  tokenRepository(request: AccessRequest): RepositoryName | undefined;
  /** Whether the image is one of those that the repository of the token has announced to the index. */
  mayPush(request: AccessRequest, image: ImageId): Promise<boolean>;
  /** Whether the token's repository may build upon, or read, an image that may be another repository's. */
  mayUse(request: AccessRequest, image: ImageId): Promise<boolean>;
}

/** The registry is its own index, or somebody in front of it authenticates: everything that reaches it may pass. */
export function openV1(): V1Decisions {
  return {
    authorize: async () => {
      await Promise.resolve();
    },
    tokenRepository: (request) => parseToken(request)?.repository,
    mayPush: async () => await Promise.resolve(true),
    mayUse: async () => await Promise.resolve(true),
  };
}

/** Requests signed with the private half of `publicKey` may do everything; others as `decisions` has it. */
export function privilegedV1(decisions: V1Decisions, publicKey: KeyObject): V1Decisions {
  const privileged = (request: AccessRequest) => verify(request, publicKey);
  return {
    authorize: async (request, repository) => {
      if (!privileged(request)) await decisions.authorize(request, repository);
    },
    tokenRepository: (request) => (privileged(request) ? undefined : decisions.tokenRepository(request)),
    mayPush: async (request, image) => privileged(request) || (await decisions.mayPush(request, image)),
    mayUse: async (request, image) => privileged(request) || (await decisions.mayUse(request, image)),
  };
}

/**
 * Access as the original had it. Through `private_images` the images of the private repository that its token is for are
 * shown; elsewhere a token of a private repository shows the images that the index allows it, and everything else shows all.
 */
export function withoutAccounts(
  decisions: V1Decisions,
  repositories: { visibility(repository: RepositoryName): Promise<Visibility> },
  audit: Audit = noAudit,
): V1Access {
  const note = (visit: Visit, more: Omit<RepositoryWanted, "action">): void => {
    const { req, res, method, path } = visit;
    const token = parseToken(visit)?.repository;
    const user = token === undefined ? "anyone" : `token of ${ruleName(token)}`;
    audit(req, res, { user, wanted: wantedBy(visit, more), method, path });
  };
  const nothing = async () => {
    await Promise.resolve();
  };
  return {
    authorize: async (visit, repository, reference) => {
      note(visit, { repository: repository && ruleName(repository), reference });
      await decisions.authorize(visit, repository);
    },
    authorizeImage: async (visit, image) => {
      note(visit, { reference: image });
      await nothing();
    },
    shows: async (visit, image, door) => {
      const repository = decisions.tokenRepository(visit);
      const isPrivate = repository !== undefined && (await repositories.visibility(repository)) === "private";
      return door === "private" ? isPrivate : !isPrivate || (await decisions.mayUse(visit, image));
    },
    mayPush: async (visit, image) => await decisions.mayPush(visit, image),
    mayUse: async (visit, image) => await decisions.mayUse(visit, image),
    mayFinish: async () => await Promise.resolve(true),
    notePush: nothing,
    noteComplete: nothing,
    noteImages: nothing,
    sign: async () => await Promise.resolve(randomWord()),
    lister: async () => await Promise.resolve(unrestricted("anyone")),
    login: nothing,
    noteSignup: () => undefined,
  };
}

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/** Docker refuses to go on without a token; nobody looks at it here. */
function randomWord(): string {
  return Array.from({ length: 16 }, () => alphabet[randomInt(alphabet.length)]).join("");
}

const methodsOfAccess = new Map([
  ["read", ["GET", "HEAD"]],
  ["write", ["PUT", "POST"]],
  ["delete", ["DELETE"]],
]);

/** Whether the token's access covers the method; an access that nobody knows restricts nothing. */
export function coversMethod(token: V1Token, method: string): boolean {
  return methodsOfAccess.get(token.access ?? "")?.includes(method) ?? true;
}

/** What a request of V1 wants, as its method says it. */
export function wantedBy({ method }: Visit, more: Omit<RepositoryWanted, "action">): RepositoryWanted {
  const action = method === "GET" || method === "HEAD" ? "pull" : method === "DELETE" ? "delete" : "push";
  return { action, ...more };
}
