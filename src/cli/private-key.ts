import { createPrivateKey, type KeyObject } from "node:crypto";
import { CommandError } from "./exit.ts";
import { readNamed } from "./files.ts";

/** Reads the private half of a privileged key, as `--key` names it. */
export async function privateKey(path: string): Promise<KeyObject> {
  const text = await readNamed("--key", path);
  try {
    return createPrivateKey(text);
  } catch (error) {
    const remedy = "a private key in PEM form, without a passphrase, is needed, as registryctl keygen makes it";
    throw new CommandError("failed", `--key ${path} cannot be read as a private key; ${remedy}`, { cause: error });
  }
}
