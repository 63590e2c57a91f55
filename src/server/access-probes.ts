import { access, constants, stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import type { Settings } from "./config/schema.ts";
import { readAuthorities } from "./pem.ts";
import type { Probe } from "./probes.ts";
import { isObject } from "./registry/documents.ts";

/** What access control needs beside accounts. Relative paths are below `folder`. */
export function accessProbes({ auth, http }: Settings, folder: string): readonly Probe[] {
  const { token, token_key: key, audit_log: log } = auth ?? {};
  const authorities = http.tls?.client_ca;
  return [
    ...(authorities === undefined ? [] : [authoritiesProbe(resolve(folder, authorities))]),
    ...(key === undefined ? [] : [tokenKeyProbe(key, folder)]),
    ...(token ? [tokenServiceProbe(token, folder)] : []),
    ...(log === undefined ? [] : [auditLogProbe(resolve(folder, log))]),
  ];
}

function authoritiesProbe(path: string): Probe {
  return {
    name: "client certificates",
    subject: path,
    remedy: "Name a PEM file of authorities in http.tls.client_ca.",
    run: async () => {
      await readAuthorities(path);
      return "can be used";
    },
  };
}

function tokenKeyProbe(path: string, folder: string): Probe {
  return {
    name: "token key",
    subject: resolve(folder, path),
    remedy: "Name a private key in auth.token_key; registryctl keygen makes one.",
    run: async () => {
      const { readTokenKey } = await import("./access-control.ts");
      return (await (await readTokenKey(path, folder)).signing()).algorithm;
    },
  };
}

function auditLogProbe(path: string): Probe {
  return {
    name: "audit log",
    subject: path,
    remedy: "Name a file in auth.audit_log, in a folder that the registry may write to.",
    run: async () => {
      // When the file is moved away, it is made anew.
      await access(dirname(path), constants.W_OK);
      if (await stat(path).catch(() => undefined)) await access(path, constants.W_OK);
      return "can be written to";
    },
  };
}

function tokenServiceProbe(token: NonNullable<NonNullable<Settings["auth"]>["token"]>, folder: string): Probe {
  const { jwks, certificates = "" } = token;
  return {
    name: "token service",
    subject: jwks ?? resolve(folder, certificates),
    remedy: "Correct auth.token.jwks or auth.token.certificates, or let that service answer.",
    run: async (signal) => {
      const { openForeignTokens } = await import("./access-control.ts");
      await openForeignTokens(token, folder);
      if (!jwks?.startsWith("http")) return "keys can be used";
      const response = await fetch(jwks, { signal });
      const value: unknown = await response.json();
      const keys = isObject(value) ? value["keys"] : undefined;
      if (!Array.isArray(keys)) throw new Error(`no list of keys is answered (status ${response.status})`);
      return `answers ${keys.length} ${keys.length === 1 ? "key" : "keys"}`;
    },
  };
}
