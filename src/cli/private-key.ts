import { createPrivateKey, type KeyObject } from "node:crypto";
import { CommandError } from "./exit.ts";
import { readNamed } from "./files.ts";

/** Reads the private half of a privileged key, as `--key` names it; one that every user may read is refused. */
export async function privateKey(path: string): Promise<KeyObject> {
  const key = parsed(await readNamed("--key", path), path);
  const { assertPrivate } = await import("../server/index.ts");
  await assertPrivate(path, "--key ");
  return key;
}

function parsed(text: string, path: string): KeyObject {
  try {
    return createPrivateKey(text);
  } catch (error) {
    const remedy = "a private key in PEM form, without a passphrase, is needed, as registryctl keygen makes it";
    throw new CommandError("failed", `--key ${path} cannot be read as a private key; ${remedy}`, { cause: error });
  }
}
