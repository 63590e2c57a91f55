import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { chmod, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { openLocal } from "../../src/drivers/storage/local.ts";
import { sign } from "../../src/server/access/signature.ts";
import type { Scope } from "../../src/server/access/scopes.ts";
import { operatorKey } from "../../src/server/access/token-keys.ts";
import { Tokens, type TokenUse } from "../../src/server/access/tokens.ts";
import type { KeyAction } from "../../src/server/accounts/accounts.ts";
import { keyHash, newKey } from "../../src/server/accounts/api-key.ts";
import { KeyStore } from "../../src/server/accounts/key-store.ts";
import { hashed } from "../../src/server/accounts/password-hash.ts";
import type { SettingsInput } from "../../src/server/config/schema.ts";
import { selfSigned } from "./certificate.ts";
import { makeCertificates } from "./certificates.ts";
import { removeFolder, temporaryFolder } from "./program.ts";
import { startRegistry, type RegistryServer } from "./registry-server.ts";
import { V1Client } from "./v1-client.ts";

type Rules = NonNullable<NonNullable<SettingsInput["auth"]>["rules"]>;

/** A registry that asks who somebody is; the password of each account is its name with `-secret`. */
export interface GuardedRegistry extends RegistryServer {
  readonly folder: string;
  /** Shows the certificate of `client.test`, whose authority the registry trusts. */
  readonly certified: V1Client;
  /** Shows a certificate that nobody trusts. */
  readonly selfCertified: V1Client;
  /** A token signed with the registry's own key. */
  token(use: TokenUse, subject: string, scopes: readonly Scope[], options?: TokenChanges): Promise<string>;
  /** A new API key of an account, for these repositories and actions. */
  key(name: string, repositories: readonly string[], actions: readonly KeyAction[]): Promise<string>;
  /** The headers of a privileged request. */
  signed(method: string, path: string): Record<string, string>;
}

/** How a token is not quite what it should be; `seconds` is how long it is good for. */
export interface TokenChanges {
  readonly seconds?: number;
  readonly service?: string;
  readonly key?: KeyObject;
}

/** The header of name and password. */
export const basic = (name: string, password = `${name}-secret`): Record<string, string> => ({
  Authorization: `Basic ${Buffer.from(`${name}:${password}`).toString("base64")}`,
});

/** Starts one on local storage. Needs openssl. */
export async function guardedRegistry(
  accounts: readonly string[],
  rules: Rules,
  settings: Partial<SettingsInput> = {},
): Promise<GuardedRegistry> {
  const folder = await temporaryFolder("guarded");
  const lines = await Promise.all(accounts.map(async (name) => `${name}:${await hashed(`${name}-secret`, 4)}`));
  await writeFile(join(folder, "htpasswd"), `${lines.join("\n")}\n`);
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  await writeFile(join(folder, "key.pem"), privateKey.export({ type: "pkcs8", format: "pem" }), { mode: 0o600 });
  await writeFile(join(folder, "key.pub.pem"), publicKey.export({ type: "pkcs1", format: "pem" }));
  await makeCertificates(folder);
  await chmod(join(folder, "server.key"), 0o600);
  const tls = {
    certificate: join(folder, "server.pem"),
    key: join(folder, "server.key"),
    client_ca: join(folder, "authority.pem"),
  };
  const server = await startRegistry({
    storage: "local",
    storage_path: join(folder, "store"),
    search_backend: "database",
    sqlalchemy_index_database: `sqlite:///${join(folder, "search.db")}`,
    privileged_key: join(folder, "key.pub.pem"),
    http: { tls },
    auth: { htpasswd: join(folder, "htpasswd"), rules, token_key: join(folder, "key.pem") },
    ...settings,
  });
  const secure = await server.alsoListen({ tls: { ...tls, clientAuthorities: tls.client_ca } });
  const [ca, cert, key] = await Promise.all(
    ["authority.pem", "client.pem", "client.key"].map(async (name) => await readFile(join(folder, name), "utf8")),
  );
  const nobody = await selfSigned(folder, "nobody");
  return {
    ...server,
    folder,
    certified: new V1Client(secure, { ca: ca!, identity: { cert: cert!, key: key! } }),
    selfCertified: new V1Client(secure, {
      ca: ca!,
      identity: { cert: nobody.pem, key: await readFile(nobody.key, "utf8") },
    }),
    token: async (use, subject, scopes, { seconds = 60, service = "registryctl", key: other = privateKey } = {}) =>
      await new Tokens({ keys: await operatorKey(other), service }).issue(use, { subject, scopes }, seconds),
    key: async (name, repositories, actions) => {
      const { id, key: made } = newKey();
      const driver = await openLocal(join(folder, "store"));
      const limits = { repositories, actions, expires: undefined, description: undefined };
      await new KeyStore(driver).add({ id, name, hash: keyHash(made), created: new Date(), ...limits });
      await driver.close();
      return made;
    },
    signed: (method, path) => ({ "X-Signature": sign({ method, path, headers: {} }, privateKey) }),
    close: async () => {
      await server.close();
      await removeFolder(folder);
    },
  };
}
