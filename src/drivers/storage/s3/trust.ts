import { readFile } from "node:fs/promises";
import { DriverError } from "../errors.ts";
import type { BotoSettings } from "./credentials.ts";

/** What boto's files say of certificates: they are where older installations name their own authority. */
export async function trust({
  Boto: boto = {},
}: BotoSettings): Promise<{ readonly ca?: string; readonly verifies: boolean }> {
  const verifies = !/^(false|no|off|0)$/i.test(boto["https_validate_certificates"] ?? "");
  const file = boto["ca_certificates_file"];
  if (!file || file === "system") return { verifies };
  try {
    return { ca: await readFile(file, "utf8"), verifies };
  } catch (cause) {
    throw new DriverError("REFUSED", `ca_certificates_file of boto's configuration can't be read: ${file}`, { cause });
  }
}
