import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { findProgram } from "./needs.ts";

const run = promisify(execFile);

/**
 * Makes `authority`, `server` (for the address 127.0.0.1) and `client` in a folder: each has a `.key` and a `.pem`, the
 * authority signs the others. Needs openssl.
 */
export async function makeCertificates(folder: string): Promise<void> {
  const openssl = findProgram("openssl") ?? "openssl";
  const key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
  const make = async (line: string) => await run(openssl, line.trim().split(/\s+/), { cwd: folder });
  await make(`req -x509 ${key} -keyout authority.key -out authority.pem -days 2 -subj /CN=authority.test`);
  for (const name of ["server", "client"]) {
    await make(
      `req ${key} -keyout ${name}.key -out ${name}.csr -subj /CN=${name}.test -addext subjectAltName=IP:127.0.0.1`,
    );
    await make(
      `x509 -req -in ${name}.csr -CA authority.pem -CAkey authority.key -days 2 -copy_extensions copy -out ${name}.pem`,
    );
  }
}
