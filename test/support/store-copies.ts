import { writeFile } from "node:fs/promises";
import { expect } from "chai";
import { openLocal } from "../../src/drivers/storage/local.ts";
import { bin, Program } from "./program.ts";
import { hashOf } from "./storage-content.ts";

/** What `registryctl copy --json` tells, as far as tests ask. */
export interface CopyReport {
  readonly tags: { readonly copied: number; readonly replaced: number; readonly there: number; readonly kept: number };
  readonly blobs: {
    readonly copied: number;
    readonly there: number;
    readonly repaired: number;
    readonly bytes: number;
  };
  readonly images: { readonly copied: number };
  readonly problems: readonly {
    readonly kind: string;
    readonly repository?: string;
    readonly tag?: string;
    readonly image?: string;
    readonly message: string;
  }[];
}

/** Writes a configuration of flavors, each with the lines of its options. */
export async function writeFlavors(
  file: string,
  flavors: Readonly<Record<string, readonly string[]>>,
): Promise<string> {
  const texts = Object.entries(flavors).map(([name, lines]) => `${name}:\n${lines.map((line) => `  ${line}\n`).join("")}`); // prettier-ignore
  await writeFile(file, texts.join(""));
  return file;
}

/** Begins to copy from the flavor `from` to the flavor `to`, or those that `args` name. */
export function beginCopy(config: string, args: readonly string[] = [], env?: NodeJS.ProcessEnv): Program {
  const flavors = args.includes("--from") ? [] : ["--from", "from", "--to", "to"];
  return new Program(process.execPath, [bin, "copy", "-c", config, ...flavors, "--json", ...args], { ...(env && { env }) }); // prettier-ignore
}

/** Copies to the end, which must be `code`, and answers the report. */
export async function copied(config: string, code: number, ...args: readonly string[]): Promise<CopyReport> {
  const program = beginCopy(config, args);
  expect(await program.exited, program.output).to.equal(code);
  return JSON.parse(program.output) as CopyReport;
}

/** All objects of a local store that nobody changes: their keys, each with the hash of its content. */
export async function objectsOf(path: string): Promise<readonly string[]> {
  const driver = await openLocal(path);
  const found: string[] = [];
  for await (const { key } of driver.list("")) found.push(`${key} ${await hashOf(await driver.read(key))}`);
  await driver.close();
  return found;
}
