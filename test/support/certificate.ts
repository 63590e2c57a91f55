import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** A certificate for localhost and 127.0.0.1 that signs itself; paths, and its PEM text for clients to trust. */
export interface Certificate {
  readonly certificate: string;
  readonly key: string;
  readonly pem: string;
}

/** Makes a certificate with openssl. */
export async function selfSigned(folder: string, name = "tls"): Promise<Certificate> {
  const certificate = join(folder, `${name}.crt`);
  const key = join(folder, `${name}.key`);
  const names = "subjectAltName=DNS:localhost,IP:127.0.0.1";
  await run("openssl", [
    ...["req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-subj", "/CN=localhost"],
    ...["-addext", names, "-days", "30", "-keyout", key, "-out", certificate],
  ]);
  return { certificate, key, pem: await readFile(certificate, "utf8") };
}

/** Signs a certificate anew so that it expired yesterday. */
export async function expire({ certificate, key }: Certificate): Promise<void> {
  await run("openssl", ["x509", "-in", certificate, "-signkey", key, "-days", "-1", "-out", certificate]);
}

/** Writes a password file that nginx and Apache read. */
export async function passwordFile(folder: string, user: string, password: string): Promise<string> {
  const path = join(folder, "htpasswd");
  const { stdout } = await run("openssl", ["passwd", "-apr1", password]);
  await writeFile(path, `${user}:${stdout.trim()}\n`);
  return path;
}
