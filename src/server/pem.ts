import { createPrivateKey, createPublicKey, X509Certificate, type KeyObject } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { createSecureContext } from "node:tls";

/** The two files of `http.tls`, proven to belong together. Rejects with what is wrong, and with which option. */
export async function readCertificate(paths: {
  readonly certificate: string;
  readonly key: string;
}): Promise<{ readonly cert: Buffer; readonly key: Buffer }> {
  const certificateIs = `http.tls.certificate: ${paths.certificate}`;
  const keyIs = `http.tls.key: ${paths.key}`;
  const cert = await explained(`${certificateIs} can't be read`, async () => await readFile(paths.certificate));
  const key = await explained(`${keyIs} can't be read`, async () => await readFile(paths.key));
  await explained(`${certificateIs} holds no certificate in PEM form`, () => new X509Certificate(cert));
  if (key.includes("ENCRYPTED")) throw new Error(`${keyIs} needs a passphrase; openssl pkey writes it without one`);
  const held = await explained(`${keyIs} holds no private key in PEM form`, () => createPrivateKey(key));
  await assertPrivate(paths.key, "http.tls.key: ");
  if (!new X509Certificate(cert).checkPrivateKey(held))
    throw new Error(`${keyIs} is not the key of the certificate ${paths.certificate}`);
  await explained(`${certificateIs} and its key can't be used`, () => createSecureContext({ cert, key }));
  return { cert, key };
}

/** What `http.tls.client_ca` holds. Rejects with what is wrong with it. */
export async function readAuthorities(path: string): Promise<Buffer> {
  const option = `http.tls.client_ca: ${path}`;
  const pem = await explained(`${option} can't be read`, async () => await readFile(path));
  await explained(`${option} holds no certificate in PEM form`, () => new X509Certificate(pem));
  return pem;
}

/** Rejects when users that are neither the owner of the file nor of its group may read it. `what` begins the message. */
export async function assertPrivate(path: string, what: string): Promise<void> {
  const { mode } = await stat(path);
  if ((mode & 0o004) === 0) return;
  const shown = (mode & 0o777).toString(8).padStart(4, "0");
  throw new Error(
    `${what}${path} is a private key that every user may read (mode ${shown}); chmod o= ${path} mends it`,
  );
}

/** The key that `privileged_key` names. Rejects with what is wrong with the file; its name the caller knows. */
export async function readPrivilegedKey(path: string): Promise<KeyObject> {
  const text = await explained("can't be read", async () => await readFile(path));
  const key = await explained("no public key in PEM form", () => createPublicKey(text));
  if (key.asymmetricKeyType !== "rsa") throw new Error(`a key of type ${String(key.asymmetricKeyType)}; RSA is needed`);
  return key;
}

async function explained<T>(problem: string, act: () => T | Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (cause) {
    throw new Error(problem, { cause });
  }
}
