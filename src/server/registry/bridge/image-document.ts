import type { JsonObject } from "./exact-json.ts";
import { fitted, runConfig, text } from "./run-config.ts";
import { timestamp } from "./timestamp.ts";

/** What the V1 JSON of an image and an OCI config have in common, fit for clients of both. */
export interface ImageDocument extends JsonObject {
  readonly architecture: string;
  readonly os: string;
  readonly created?: string;
  readonly author?: string;
  readonly comment?: string;
  readonly config?: JsonObject;
  readonly container_config?: JsonObject;
}

/** Says where the image stands, and in which form: another protocol's form says it anew. */
const placing = ["id", "parent", "size", "parent_id", "layer_id", "throwaway", "rootfs", "history"];

/** Before 0.7, docker named machines as the kernel does. */
const machines: ReadonlyMap<string, string> = new Map([
  ["x86_64", "amd64"],
  ["x86-64", "amd64"],
  ["i386", "386"],
  ["i686", "386"],
  ["aarch64", "arm64"],
]);

const shapes = {
  ...Object.fromEntries(placing.map((key) => [key, () => undefined])),
  ...Object.fromEntries(
    ["author", "comment", "container", "docker_version", "architecture", "os", "variant", "os.version"].map((key) => [
      key,
      text,
    ]),
  ),
  created: timestamp,
  config: runConfig,
  container_config: runConfig,
};

/**
 * An image's V1 JSON or OCI config without what belongs to its form. Keys and numbers stay as they are; what would make
 * a client refuse the image (types, odd times) is put right or left out. Without a platform it is linux/amd64.
 */
export function imageDocument(document: JsonObject): ImageDocument {
  const fields = fitted(document, shapes);
  const { architecture, os } = fields;
  const machine = typeof architecture === "string" && architecture !== "" ? architecture : "amd64";
  return {
    ...fields,
    architecture: machines.get(machine) ?? machine,
    os: typeof os === "string" && os !== "" ? os.toLowerCase() : "linux",
  };
}

/** The words of a `Cmd` that `imageDocument` has passed. */
export function commandOf(config: JsonObject | undefined): readonly string[] {
  const command = config?.["Cmd"];
  return Array.isArray(command) ? command.filter((word) => typeof word === "string") : [];
}
