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

/** Makes a certificate with openssl, valid for `days` (a negative number: expired). */
export async function selfSigned(folder: string, name = "tls", days = 30): Promise<Certificate> {
  const certificate = join(folder, `${name}.crt`);
  const key = join(folder, `${name}.key`);
  const names = "subjectAltName=DNS:localhost,IP:127.0.0.1";
  await run("openssl", [
    ...["req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-subj", "/CN=localhost"],
    ...["-addext", names, "-days", String(days), "-keyout", key, "-out", certificate],
  ]);
  return { certificate, key, pem: await readFile(certificate, "utf8") };
}

/** Writes a password file that nginx and Apache read. */
export async function passwordFile(folder: string, user: string, password: string): Promise<string> {
  const path = join(folder, "htpasswd");
  const { stdout } = await run("openssl", ["passwd", "-apr1", password]);
  await writeFile(path, `${user}:${stdout.trim()}\n`);
  return path;
}
