import type { KeyObject } from "node:crypto";
import { RegistryError } from "../errors.ts";
import { repositoryOfText, type ImageId, type RepositoryName } from "../registry/names.ts";
import { verify, type SignedRequest } from "./signature.ts";

/** Decides what requests may do. */
export interface Access {
  /** Whether the request may do everything. V2 has no tokens of an index server: it asks this alone. */
  trusts(request: SignedRequest): boolean;
  /** Rejects with UNAUTHORIZED unless the request may do what its method says, to `repository` where one is named. */
  authorize(request: SignedRequest, repository?: RepositoryName): Promise<void>;
  /** The repository that the request's token is for; undefined without a token and for privileged requests. */
  tokenRepository(request: SignedRequest): RepositoryName | undefined;
  /** Whether the image is one of those that the repository of the token has announced to the index. */
  mayPush(request: SignedRequest, image: ImageId): Promise<boolean>;
  /** Whether the token's repository may build upon, or read, an image that may be another repository's. */
  mayUse(request: SignedRequest, image: ImageId): Promise<boolean>;
}

/** The registry is its own index, or somebody in front of it authenticates: everything that reaches it may pass. */
export function openAccess(): Access {
  return {
    trusts: () => true,
    authorize: async () => {
      await Promise.resolve();
    },
    tokenRepository: (request) => parseToken(request)?.repository,
    mayPush: async () => await Promise.resolve(true),
    mayUse: async () => await Promise.resolve(true),
  };
}

/** Requests signed with the private half of `publicKey` may do everything; for others `access` decides. */
export function privilegedAccess(access: Access, publicKey: KeyObject): Access {
  const privileged = (request: SignedRequest) => verify(request, publicKey);
  return {
    trusts: (request) => privileged(request) || access.trusts(request),
    authorize: async (request, repository) => {
      if (!privileged(request)) await access.authorize(request, repository);
    },
    tokenRepository: (request) => (privileged(request) ? undefined : access.tokenRepository(request)),
    mayPush: async (request, image) => privileged(request) || (await access.mayPush(request, image)),
    mayUse: async (request, image) => privileged(request) || (await access.mayUse(request, image)),
  };
}

/** A token as V1 indexes make it: `Token signature=…,repository="namespace/name",access=read|write|delete`. */
export interface Token {
  readonly authorization: string;
  readonly repository: RepositoryName;
  readonly access: string | undefined;
}

/** The token of the request's `Authorization`, or undefined. Docker sends `Token Token …`: the word is in the value it was given. */
export function parseToken({ headers }: SignedRequest): Token | undefined {
  const authorization = headers["authorization"];
  if (typeof authorization !== "string" || !/^token(\s|$)/i.test(authorization)) return undefined;
  const fields = new Map(
    [...authorization.slice(0, 4096).matchAll(/(\w+)[:=][\s"]?([^",]+)"?/g)].map(([, name, value]) => [name, value]),
  );
  const repository = repositoryOfText(fields.get("repository") ?? "");
  return repository && { authorization, repository, access: fields.get("access") };
}

const methodsOfAccess = new Map([
  ["read", ["GET", "HEAD"]],
  ["write", ["PUT", "POST"]],
  ["delete", ["DELETE"]],
]);

/** Whether the token's access covers the method; an access that nobody knows restricts nothing. */
export function coversMethod(token: Token, method: string): boolean {
  return methodsOfAccess.get(token.access ?? "")?.includes(method) ?? true;
}

/** The rejection of a request without a valid token. */
export function unauthorized(): RegistryError {
  return new RegistryError("UNAUTHORIZED");
}
