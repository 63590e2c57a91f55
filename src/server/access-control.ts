import { createPrivateKey } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { resolve } from "node:path";
import type { StorageDriver } from "../drivers/storage/driver.ts";
import { indexServerOnly, openAccess, withPrivilegedKey, type Access } from "./access/access.ts";
import { auditTo, noAudit } from "./access/audit.ts";
import { ControlledAccess } from "./access/controlled.ts";
import { Doorkeeper } from "./access/doorkeeper.ts";
import { foreignTokens, type ForeignKeys } from "./access/foreign-tokens.ts";
import { indexServerAccess } from "./access/index-server.ts";
import { Rules } from "./access/rules.ts";
import { operatorKey, StoredTokenKeys, type TokenKeys } from "./access/token-keys.ts";
import { TokenService } from "./access/token-service.ts";
import { Tokens } from "./access/tokens.ts";
import { openV1, privilegedV1, withoutAccounts, type V1Access } from "./access/v1-access.ts";
import { V1Accounts } from "./access/v1-accounts.ts";
import type { FailureCount } from "./accounts/attempts.ts";
import { openAccounts, type Accounts } from "./accounts/accounts.ts";
import type { Settings } from "./config/schema.ts";
import type { Client } from "./http/proxy.ts";
import { LogFile } from "./log-file.ts";
import { createLog, type Log } from "./log.ts";
import { assertPrivate, readPrivilegedKey } from "./pem.ts";
import { Documents } from "./registry/documents.ts";
import { ImageOwners } from "./registry/image-owners.ts";
import type { Registry } from "./registry/registry.ts";
import type { SignUp } from "./v1/parts.ts";

/** Who may do what, for each protocol. */
export interface AccessControl {
  readonly access: Access;
  readonly doorkeeper: Doorkeeper;
  readonly v1: V1Access;
  /** Makes accounts for those who ask for one; undefined where nobody may. */
  readonly signUp: SignUp | undefined;
  /** Gives tokens for V2; undefined where nobody needs one, or another service does. */
  readonly tokens: { readonly service: TokenService; readonly name: string } | undefined;
  close(): Promise<void>;
}

/** What access control works with. */
export interface AccessControlParts {
  readonly folder: string;
  readonly driver: StorageDriver;
  readonly registry: Registry;
  readonly clientOf: (request: Pick<IncomingMessage, "headers" | "socket">) => Client;
  readonly log: Log;
  /** Counts failed logins, of all processes of the server. */
  readonly attempts: FailureCount;
}

/** Whether anybody is asked who they are: by accounts, by another service's tokens, or by certificates. */
export function isControlled({ auth, http }: Settings): boolean {
  return auth !== undefined || http.tls?.client_ca !== undefined;
}

/** What the settings say of who may do what. Rejects when a file that they name can't be used. */
export async function openAccessControl(settings: Settings, parts: AccessControlParts): Promise<AccessControl> {
  const { privileged_key: path } = settings;
  const privilegedKey = path === undefined ? undefined : resolve(parts.folder, path);
  const publicKey =
    privilegedKey === undefined
      ? undefined
      : await explained(`privileged_key: ${privilegedKey}`, async () => await readPrivilegedKey(privilegedKey));
  const privileged = (access: Access) => (publicKey ? withPrivilegedKey(access, publicKey) : access);
  if (isControlled(settings)) return await controlled(settings, parts, privileged);

  const { repositories } = parts.registry.own;
  const isOpen = settings.standalone || settings.disable_token_auth;
  const decisions = isOpen ? openV1() : indexServerAccess(settings.index_endpoint, repositories);
  const audit = isOpen ? noAudit : auditTo(parts.log.complete(), parts.clientOf);
  const access = privileged(isOpen ? openAccess() : indexServerOnly());
  return {
    access,
    doorkeeper: new Doorkeeper({ access, audit }),
    v1: withoutAccounts(publicKey ? privilegedV1(decisions, publicKey) : decisions, parts.registry.repositories, audit),
    signUp: undefined,
    tokens: undefined,
    close: async () => {
      await Promise.resolve();
    },
  };
}

async function controlled(
  settings: Settings,
  { folder, driver, clientOf, log, attempts }: AccessControlParts,
  privileged: (access: Access) => Access,
): Promise<AccessControl> {
  const { auth, http, public_url: publicUrl } = settings;
  const rules = new Rules(auth?.rules);
  const documents = new Documents(driver);
  const keys =
    auth?.token_key === undefined
      ? new StoredTokenKeys({ driver, documents })
      : await readTokenKey(auth.token_key, folder);
  const name = auth?.token?.service ?? (publicUrl === undefined ? "registryctl" : new URL(publicUrl).host);
  const tokens = new Tokens({ keys, service: name });
  const foreign = auth?.token && (await openForeignTokens(auth.token, folder));
  const accounts =
    auth?.htpasswd === undefined
      ? undefined
      : await openAccounts({ ...auth, htpasswd: auth.htpasswd }, { folder, driver, log, attempts });
  const access = privileged(
    new ControlledAccess({
      rules,
      accounts,
      tokens,
      foreignTokens: foreign,
      source: { realm: auth?.token?.realm, service: name },
      publicUrl,
      clientOf,
      certificates: http.tls?.client_ca !== undefined,
    }),
  );
  const auditLog = openAuditLog(auth?.audit_log, folder, log);
  const doorkeeper = new Doorkeeper({ access, audit: auditTo(auditLog.log, clientOf) });
  return {
    access,
    doorkeeper,
    v1: new V1Accounts({ doorkeeper, tokens, owners: new ImageOwners({ driver, documents }), accounts }),
    signUp: auth?.signup === true ? accounts && signingUp(accounts, clientOf) : undefined,
    tokens: foreign ? undefined : { service: new TokenService({ tokens, rules, accounts }), name },
    close: async () => {
      await accounts?.close();
      auditLog.close();
    },
  };
}

function signingUp(accounts: Accounts, clientOf: AccessControlParts["clientOf"]): SignUp {
  return async ({ req }, name, password) => {
    await accounts.create(name, password, clientOf(req).address);
  };
}

/** Where the audit's lines go, whatever is left out of the log. Rejects when the file can't be written to. */
function openAuditLog(path: string | undefined, folder: string, log: Log) {
  if (path === undefined) return { log: log.complete(), close: () => undefined };
  const file = resolve(folder, path);
  try {
    const destination = new LogFile(file, (err, line) => {
      log.error({ err, line }, `auth.audit_log: ${file} can't be written to`);
    });
    return {
      log: createLog({ level: "debug", destination }),
      close: () => {
        destination.close();
      },
    };
  } catch (cause) {
    throw new Error(`auth.audit_log: ${file}`, { cause });
  }
}

/** The key of the operator's that tokens are signed with. Rejects with what is wrong with it. */
export async function readTokenKey(path: string, folder: string): Promise<TokenKeys> {
  const file = resolve(folder, path);
  return await explained(`auth.token_key: ${file}`, async () => {
    await assertPrivate(file, "");
    return await operatorKey(createPrivateKey(await readFile(file)));
  });
}

type TokenSettings = NonNullable<NonNullable<Settings["auth"]>["token"]>;

/** Reads tokens of another service; see `foreignTokens`. Rejects when its keys can't be used, as far as they are files. */
export async function openForeignTokens(
  { service, issuer, jwks, certificates }: TokenSettings,
  folder: string,
): Promise<ReturnType<typeof foreignTokens>> {
  const option = jwks === undefined ? "auth.token.certificates" : "auth.token.jwks";
  return await explained(`${option}: ${jwks ?? certificates ?? ""}`, async () => {
    const keys = await foreignKeys({ jwks, certificates }, folder);
    return foreignTokens({ service, issuer, keys });
  });
}

async function foreignKeys(
  { jwks, certificates = "" }: { readonly jwks: string | undefined; readonly certificates: string | undefined },
  folder: string,
): Promise<ForeignKeys> {
  if (jwks === undefined) return { kind: "certificates", pem: await readFile(resolve(folder, certificates), "utf8") };
  if (/^https?:\/\//.test(jwks)) return { kind: "url", url: new URL(jwks) };
  return { kind: "jwks", text: await readFile(resolve(folder, jwks), "utf8") };
}

async function explained<T>(what: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (cause) {
    throw new Error(what, { cause });
  }
}
