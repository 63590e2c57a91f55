import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { DriverError } from "../errors.ts";
import { s3Names, type OptionNames } from "./failure.ts";

/** What requests are signed with. */
export interface Keys {
  readonly accessKey: string;
  readonly secretKey: string;
  readonly sessionToken?: string | undefined;
}

/** What the files of boto and of AWS's own tools say, section by section, the first one that says something wins. */
export type BotoSettings = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** Where they lie, the one that wins first. */
export function botoFiles(): readonly string[] {
  const home = homedir();
  return [join(home, ".boto"), "/etc/boto.cfg", join(home, ".aws", "credentials")];
}

/** Reads `files`; those that are missing or may not be read say nothing. */
export async function readBoto(files: readonly string[]): Promise<BotoSettings> {
  const merged: Record<string, Record<string, string>> = {};
  for (const file of files) {
    const text = await readFile(file, "utf8").catch(() => "");
    for (const [section, values] of Object.entries(parse(text))) merged[section] = { ...values, ...merged[section] };
  }
  return merged;
}

/** The keys among `given` and `boto`; undefined where there are none. Rejects a half of a pair. */
export function chooseKeys(given: Partial<Keys>, boto: BotoSettings): Keys | undefined {
  const written = givenKeys(given, s3Names);
  if (written) return written;
  for (const section of ["Credentials", "default"]) {
    const { aws_access_key_id: access, aws_secret_access_key: secret, ...rest } = boto[section] ?? {};
    const token = rest["aws_session_token"] ?? rest["aws_security_token"];
    if (access && secret) return { accessKey: access, secretKey: secret, sessionToken: token };
  }
  return undefined;
}

/** The keys that options say; undefined where they say none. Rejects a half of a pair. */
export function givenKeys(
  given: Partial<Keys>,
  options: Pick<OptionNames, "accessKey" | "secretKey">,
): Keys | undefined {
  const { accessKey, secretKey, sessionToken } = given;
  if (accessKey !== undefined && secretKey !== undefined) return { accessKey, secretKey, sessionToken };
  if (accessKey === undefined && secretKey === undefined) return undefined;
  const names = [options.secretKey, options.accessKey];
  const [there, missing] = accessKey === undefined ? names : names.toReversed();
  throw new DriverError("REFUSED", `${there} is set and ${missing} is not`);
}

function parse(text: string): Record<string, Record<string, string>> {
  const sections: Record<string, Record<string, string>> = {};
  let current: Record<string, string> = {};
  for (const line of text.split(/\r?\n/)) {
    const section = /^\s*\[([^\]]+)\]/.exec(line)?.[1];
    if (section !== undefined) current = sections[section.trim()] ??= {};
    const { name, value } = /^(?<name>[^#;\s=:][^=:]*?)\s*[=:]\s*(?<value>.*?)\s*$/.exec(line)?.groups ?? {};
    if (name !== undefined && value !== undefined) current[name.toLowerCase()] = value;
  }
  return sections;
}
