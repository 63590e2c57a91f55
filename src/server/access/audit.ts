import type { IncomingMessage, ServerResponse } from "node:http";
import type { Client } from "../http/proxy.ts";
import { requestId } from "../http/request-id.ts";
import type { Log } from "../log.ts";
import type { Wanted } from "./caller.ts";

/** What is known of a request when it is decided upon. */
export interface AuditNote {
  /** Who asks; of credentials that are not right, whose they claim to be. */
  readonly user: string;
  /** What they want; an account, too, where everybody may make one. */
  readonly wanted: Wanted | { readonly action: "signup" };
  readonly method: string;
  readonly path: string;
  /** Whether it is denied without being told so: to its sender, what there is looks like nothing. */
  readonly isHidden?: boolean;
}

/** Takes note of what a request wants; once more when more is known. */
export type Audit = (request: IncomingMessage, response: ServerResponse, note: AuditNote) => void;

/** Nothing a client chooses makes a line longer than this. */
const longest = 256;
const denials = [401, 403, 429];

/** Where nobody is asked who they are, there is nothing to tell. */
export const noAudit: Audit = () => undefined;

/**
 * Tells every request that was denied, and every one that changes something, in a line with `audit: true` once its outcome
 * is known; a line about a denial is a warning.
 */
export function auditTo(log: Log, clientOf: (request: IncomingMessage) => Client): Audit {
  const notes = new WeakMap<IncomingMessage, AuditNote>();
  return (request, response, note) => {
    const isFirst = !notes.has(request);
    notes.set(request, note);
    if (!isFirst) return;
    response.once("close", () => {
      const last = notes.get(request) ?? note;
      const status = response.headersSent ? response.statusCode : undefined;
      const isDenied = last.isHidden === true || (status !== undefined && denials.includes(status));
      if (!isDenied && !changes(last.wanted)) return;
      const outcome = isDenied ? "denied" : status === undefined ? "aborted" : status < 400 ? "done" : "failed";
      const facts = { audit: true, ...factsOf(last), outcome, status, ...from(request, clientOf) };
      log[isDenied ? "warn" : "info"](facts, `audit: ${facts.user} ${facts.action} ${facts.outcome}`);
    });
  };
}

function changes({ action }: AuditNote["wanted"]): boolean {
  return action === "push" || action === "delete" || action === "signup";
}

function factsOf({ user, wanted, method, path }: AuditNote) {
  const { repository, reference, from: source } = "repository" in wanted || "reference" in wanted ? wanted : {};
  return {
    user: user.slice(0, longest),
    action: wanted.action,
    ...(repository !== undefined && { repository: repository.slice(0, longest) }),
    ...(reference !== undefined && { reference: reference.slice(0, longest) }),
    ...(source !== undefined && { from: source.slice(0, longest) }),
    method,
    path: path.slice(0, 2 * longest),
  };
}

function from(request: IncomingMessage, clientOf: (request: IncomingMessage) => Client) {
  return { remoteAddress: clientOf(request).address, id: requestId(request) };
}
