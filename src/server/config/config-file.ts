import { constants, createReadStream } from "node:fs";
import { access } from "node:fs/promises";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { packageFolder } from "../package-folder.ts";
import { variable, type Environment } from "./environment.ts";
import { ConfigError, type Problem } from "./problem.ts";
import { parseTree, type Mapping, type Node } from "./yaml-tree.ts";

/** A configuration file that is YAML, with what is wrong with it as a whole. */
export interface ConfigFile {
  readonly path: string;
  /** Everything below the outermost keys, `common` included, whatever it is. */
  readonly flavors: ReadonlyMap<string, Node>;
  readonly problems: readonly Problem[];
}

/** Where to look for a configuration file. */
export interface FileSearch {
  /** `--config`: a path, relative to `cwd`. */
  readonly configFile?: string | undefined;
  readonly env: Environment;
  readonly cwd: string;
}

/** The folder of the configuration files that come with the program. */
export const shippedFolder = fileURLToPath(new URL("config/", packageFolder));

const sizeLimit = 256 * 1024;

/**
 * The path of the file to load: `configFile`; else `DOCKER_REGISTRY_CONFIG`, absolute or below `config/` here or among
 * the shipped files; else `config/config.yml` here; else the shipped `config_sample.yml`. Says nothing about whether a
 * file that was asked for exists.
 */
export async function findConfig({ configFile, env, cwd }: FileSearch): Promise<string> {
  if (configFile !== undefined) return resolve(cwd, configFile);
  const asked = variable(env, "DOCKER_REGISTRY_CONFIG") ?? "";
  const here = resolve(cwd, "config", asked === "" ? "config.yml" : asked);
  if (await isReadable(here)) return here;
  const shipped = resolve(shippedFolder, asked === "" ? "config_sample.yml" : asked);
  return asked === "" || (await isReadable(shipped)) ? shipped : here;
}

/** Reads a file of flavors. Rejects with a ConfigError when there is nothing in it that could be looked at. */
export async function readConfig(path: string): Promise<ConfigFile> {
  return parseConfig(path, await contentOf(path));
}

/** The same for text that is at hand; `path` is only what messages call it. Throws a ConfigError. */
export function parseConfig(path: string, content: string): ConfigFile {
  const { root, flaws } = parseTree(content);
  const problems = flaws.map((flaw): Problem => ({ file: path, ...flaw }));
  if (root?.kind === "map") return { path, flavors: flavorsOf(root), problems };
  const remedy = "Write a flavor and its options below it, such as dev: with storage: local; registryctl init does.";
  const shapeless = root
    ? { file: path, line: root.line, problem: "is no map of flavors", remedy }
    : { file: path, problem: "is empty", remedy };
  throw new ConfigError(problems.length > 0 ? problems : [shapeless]);
}

function flavorsOf(root: Mapping): ReadonlyMap<string, Node> {
  return new Map([...root.entries].map(([name, { value }]) => [name, value]));
}

async function contentOf(path: string): Promise<string> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of createReadStream(path, { end: sizeLimit })) {
      if (Buffer.isBuffer(chunk)) chunks.push(chunk);
    }
  } catch (error) {
    throw new ConfigError([
      {
        file: path,
        problem: `can't be read: ${error instanceof Error ? error.message : String(error)}`,
        remedy: "Name another file with --config or DOCKER_REGISTRY_CONFIG, or write one with registryctl init.",
      },
    ]);
  }
  const content = Buffer.concat(chunks);
  if (content.length <= sizeLimit) return content.toString("utf8");
  throw new ConfigError([
    {
      file: path,
      problem: "is larger than 256 KiB",
      remedy: "Name a configuration file; this looks like something else.",
    },
  ]);
}

async function isReadable(path: string): Promise<boolean> {
  try {
    await access(path, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}
