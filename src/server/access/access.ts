import type { KeyObject } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import type { Socket } from "node:net";
import { RegistryError } from "../errors.ts";
import { powerless, unrestricted, type Caller, type Wanted } from "./caller.ts";
import { verify, type SignedRequest } from "./signature.ts";

/** What is looked at to tell who sends a request; a Koa context is one. */
export interface AccessRequest extends SignedRequest {
  readonly headers: IncomingHttpHeaders;
  readonly socket: Socket;
}

/** What somebody is told who may not have what they want; `challenge` is for `WWW-Authenticate`. */
export interface Refusal {
  readonly error: RegistryError;
  readonly challenge?: string;
}

/** Tells who sends requests. */
export interface Access {
  /** Rejects with UNAUTHORIZED where credentials are shown that are not right, and with TOOMANYREQUESTS. */
  identify(request: AccessRequest): Promise<Caller>;
  /** The same at once; undefined where it takes longer than that. */
  known(request: AccessRequest): Caller | undefined;
  /** How somebody is refused; without a caller, for credentials that are not right. */
  refuse(request: AccessRequest, wanted: Wanted, caller?: Caller): Refusal;
}

const everyone = unrestricted("anyone");
const keyHolder = unrestricted("privileged key");

/** The registry asks nobody, or somebody in front of it does: everything that reaches it may pass. */
export function openAccess(): Access {
  return {
    identify: async () => await Promise.resolve(everyone),
    known: () => everyone,
    refuse: () => ({ error: new RegistryError("UNAUTHORIZED") }),
  };
}

/** With an index server, whose tokens are for V1 alone, V2 is for privileged requests; anybody may see that it is there. */
export function indexServerOnly(): Access {
  const stranger = powerless("anyone", { mayEnter: true });
  const detail = "this registry takes the tokens of an index server, for V1 alone";
  return {
    identify: async () => await Promise.resolve(stranger),
    known: () => stranger,
    refuse: () => ({ error: new RegistryError("UNAUTHORIZED", { detail }) }),
  };
}

/** Requests signed with the private half of `publicKey` may do everything; for others `access` decides. */
export function withPrivilegedKey(access: Access, publicKey: KeyObject): Access {
  return {
    identify: async (request) => (verify(request, publicKey) ? keyHolder : await access.identify(request)),
    known: (request) => (verify(request, publicKey) ? keyHolder : access.known(request)),
    refuse: (request, wanted, caller) => access.refuse(request, wanted, caller),
  };
}
