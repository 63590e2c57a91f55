import type { Context } from "koa";
import { RegistryError } from "../errors.ts";
import type { Access, Refusal } from "./access.ts";
import type { Audit, AuditNote } from "./audit.ts";
import { permits, type Caller, type Wanted } from "./caller.ts";
import { credentialsOf } from "./credentials.ts";

/** What is looked at of a Koa context, and where a challenge is put. */
export type Visit = Pick<Context, "method" | "path" | "headers" | "socket" | "req" | "res" | "set">;

/** Lets requests pass that may have what they want, and takes note of the others and of what changes something. */
export class Doorkeeper {
  readonly #access: Access;
  readonly #audit: Audit;

  constructor({ access, audit }: { readonly access: Access; readonly audit: Audit }) {
    this.#access = access;
    this.#audit = audit;
  }

  /** Answers who it is. Rejects with UNAUTHORIZED, DENIED or TOOMANYREQUESTS, the challenge set. */
  async admit(visit: Visit, wanted: Wanted): Promise<Caller> {
    const caller = await this.identify(visit, wanted);
    if (!permits(caller, wanted)) throw this.#refused(visit, this.#access.refuse(visit, wanted, caller));
    return caller;
  }

  /** Who it is, whatever they may do. Rejects where credentials are shown that are not right. */
  async identify(visit: Visit, wanted: Wanted): Promise<Caller> {
    try {
      const caller = await this.#access.identify(visit);
      this.note(visit, caller.name, wanted);
      return caller;
    } catch (error) {
      this.note(visit, claimedName(visit), wanted);
      if (!(error instanceof RegistryError) || error.code !== "UNAUTHORIZED") throw error;
      const { challenge } = this.#access.refuse(visit, wanted);
      throw this.#refused(visit, { error, ...(challenge !== undefined && { challenge }) });
    }
  }

  /** Who it is that has been admitted. */
  async admitted(visit: Visit): Promise<Caller> {
    return await this.#access.identify(visit);
  }

  /** As `admit` refuses; for what only shows later that the caller may not have it. */
  refused(visit: Visit, wanted: Wanted, caller: Caller): RegistryError {
    return this.#refused(visit, this.#access.refuse(visit, wanted, caller));
  }

  /** As if what somebody may not have were not there, which is `error`. */
  hidden({ req, res, method, path }: Visit, wanted: Wanted, { name }: Caller, error: RegistryError): RegistryError {
    this.#audit(req, res, { user: name, wanted, method, path, isHidden: true });
    return error;
  }

  /** Takes note of who says to be whom, where that is not in the headers. */
  note({ req, res, method, path }: Visit, user: string, wanted: AuditNote["wanted"]): void {
    this.#audit(req, res, { user, wanted, method, path });
  }

  #refused(visit: Visit, { error, challenge }: Refusal): RegistryError {
    if (challenge !== undefined) visit.set("WWW-Authenticate", challenge);
    return error;
  }
}

/** Whose the credentials claim to be that are not right. */
function claimedName(visit: Visit): string {
  const credentials = credentialsOf(visit);
  return credentials.kind === "basic" ? credentials.name : credentials.kind;
}
