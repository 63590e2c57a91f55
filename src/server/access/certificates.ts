import type { Socket } from "node:net";
import { TLSSocket, type PeerCertificate } from "node:tls";

/** Whom a client's certificate is for. */
export interface Certified {
  /** Its common name. */
  readonly name: string;
  /** Its organizational units. */
  readonly groups: readonly string[];
}

/**
 * Whom the certificate of the connection is for; undefined where the client showed none, `untrusted` where its authority is
 * not one of `http.tls.client_ca`, it is out of date, or it names nobody.
 */
export function certifiedBy(socket: Socket): Certified | "untrusted" | undefined {
  if (!(socket instanceof TLSSocket)) return undefined;
  const shown: Partial<PeerCertificate> = socket.getPeerCertificate();
  if (!shown.subject) return undefined;
  const subject: Readonly<Record<string, unknown>> = { ...shown.subject };
  const { CN: name, OU: units } = subject;
  if (!socket.authorized || typeof name !== "string" || name === "") return "untrusted";
  return { name, groups: [units].flat().filter((unit) => typeof unit === "string") };
}
