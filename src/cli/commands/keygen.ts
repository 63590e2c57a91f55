import type { CommandUnknownOpts } from "@commander-js/extra-typings";
import { createPrivateKey, createPublicKey, generateKeyPair, type KeyObject } from "node:crypto";
import { resolve } from "node:path";
import { promisify } from "node:util";
import { command, forceOption, jsonOption, wholeNumber, type Context } from "../command.ts";
import { CommandError } from "../exit.ts";
import { firstLine, readNamed, writeFiles, type NewFile } from "../files.ts";

/** `keygen`: the RSA pair for privileged requests, with the public half in both forms that registries read. */
export function keygen(context: Context): CommandUnknownOpts {
  return command(context, "keygen", {
    summary: "make a key pair for privileged requests",
    description:
      "Makes an RSA key pair for privileged requests: NAME.pem, the private key, readable by its owner alone; " +
      "NAME.pub.pem, the public key as `RSA PUBLIC KEY` (PKCS#1), for the option privileged_key; and NAME.spki.pem, " +
      "the same as `PUBLIC KEY` (SPKI), which openssl reads. With --public-from, only the public files of an existing key.",
    examples: [
      "registryctl keygen",
      "registryctl keygen /etc/registryctl/registry-key --bits 4096",
      "registryctl keygen --public-from private.pem",
    ],
  })
    .argument("[path]", "path of the files, without their endings", "registry-key")
    .option("--bits <number>", "size of the key", wholeNumber(2048, 16384), 3072)
    .option("--public-from <file>", "write the public files of this private key (PKCS#1 or PKCS#8)")
    .option("--passphrase-file <file>", "the passphrase of that key, on the first line of a file")
    .addOption(forceOption)
    .addOption(jsonOption)
    .action(async (name, options) => {
      const { terminal } = context;
      const path = resolve(terminal.io.cwd, name);
      const privateKey = options.publicFrom
        ? await existingKey(context, options.publicFrom, options.passphraseFile)
        : await newKey(options.bits);
      const files = keyFiles(path, privateKey, options.publicFrom === undefined);
      terminal.io.signal.throwIfAborted();
      await writeFiles(Object.values(files), options.force ?? false);

      const bits = privateKey.asymmetricKeyDetails?.modulusLength;
      if (options.json) {
        const paths = Object.fromEntries(Object.entries(files).map(([form, file]) => [form, file.path]));
        await terminal.json({ ...paths, bits });
        return;
      }
      for (const file of Object.values(files)) await terminal.print(file.path);
      await terminal.note(
        `The registry needs the public key in its configuration: privileged_key: ${files.pkcs1.path}`,
      );
    });
}

interface KeyFiles extends Record<string, NewFile> {
  readonly pkcs1: NewFile;
  readonly spki: NewFile;
}

function keyFiles(path: string, privateKey: KeyObject, withPrivate: boolean): KeyFiles {
  const publicKey = createPublicKey(privateKey);
  return {
    ...(withPrivate && {
      private: { path: `${path}.pem`, content: pem(privateKey, "pkcs8"), secret: true },
    }),
    pkcs1: { path: `${path}.pub.pem`, content: pem(publicKey, "pkcs1") },
    spki: { path: `${path}.spki.pem`, content: pem(publicKey, "spki") },
  };
}

function pem(key: KeyObject, type: "pkcs1" | "pkcs8" | "spki"): string {
  return key.export({ type, format: "pem" }).toString();
}

async function newKey(bits: number): Promise<KeyObject> {
  const { privateKey } = await promisify(generateKeyPair)("rsa", { modulusLength: bits });
  return privateKey;
}

async function existingKey(context: Context, file: string, passphraseFile: string | undefined): Promise<KeyObject> {
  const { terminal } = context;
  const text = await readNamed("--public-from", resolve(terminal.io.cwd, file));
  const encrypted = /ENCRYPTED/.test(text);
  let passphrase: string | undefined;
  if (passphraseFile !== undefined) {
    passphrase = await firstLine("--passphrase-file", resolve(terminal.io.cwd, passphraseFile));
  } else if (encrypted) {
    if (!terminal.interactive) throw new CommandError("usage", `${file} is encrypted; name its --passphrase-file`);
    const { secret } = await import("../prompt.ts");
    passphrase = await secret(terminal, `Passphrase of ${file}`);
  }
  const key = parsePrivateKey(file, text, passphrase);
  if (key.asymmetricKeyType !== "rsa") {
    throw new CommandError(
      "failed",
      `${file} holds a key of type ${key.asymmetricKeyType ?? "unknown"}; an RSA key is needed`,
    );
  }
  return key;
}

function parsePrivateKey(file: string, text: string, passphrase: string | undefined): KeyObject {
  try {
    return createPrivateKey({ key: text, ...(passphrase !== undefined && { passphrase }) });
  } catch (error) {
    const remedy = passphrase === undefined ? "a private key in PEM form is needed" : "is the passphrase right?";
    throw new CommandError("failed", `${file} cannot be read as a private key; ${remedy}`, { cause: error });
  }
}
