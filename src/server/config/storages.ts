import { z } from "zod";
import { option } from "../../drivers/option.ts";
import { ellipticsOptions } from "../../drivers/storage/elliptics/options.ts";
import { gcsOptions } from "../../drivers/storage/gcs/options.ts";
import { glanceOptions } from "../../drivers/storage/glance/options.ts";
import { addedStorages, findStorage, storageDefinitions } from "../../drivers/storage/index.ts";
import { s3Options } from "../../drivers/storage/s3/options.ts";
import { swiftOptions } from "../../drivers/storage/swift/options.ts";
import { defaultOf, fieldsOf } from "./schema-walk.ts";
import { kind, size } from "./values.ts";

const storageNames = ["local", "memory", "s3", "gcs", "swift", "glance", "elliptics"] as const;

/** The options that say where images are kept. */
export const storageOptions = {
  storage: option(
    z.enum([...storageNames, "file"]).transform((name): string => (name === "file" ? "local" : name)),
    {
      description:
        "Where images are kept: local (also called file) is a folder, s3 a bucket of Amazon S3 or of another server that speaks its protocol, gcs one of Google Cloud Storage, swift a container of OpenStack Swift, glance the images of OpenStack Glance with a folder or Swift for all else, elliptics an Elliptics cluster, memory forgets everything at the end.",
    },
  ),
  storage_path: option(kind(z.string().meta({ format: "path" }), "a path").default("/tmp/registry"), {
    description:
      "The folder that images are kept in, or the prefix of their keys in an object store, where it is /registry if nothing is said.",
    env: ["STORAGE_PATH"],
  }),
  min_free: option(size.default(100_000_000), {
    description:
      "How much has to be left on the disk of local storage for pushes to be taken, in bytes or like 1G; pulls and deletes go on.",
    env: ["STORAGE_MIN_FREE"],
  }),
  shared: option(z.boolean().default(false), {
    description:
      "Other programs or machines write to storage_path too, such as another registry: names are read from the disk each time.",
    env: ["STORAGE_SHARED"],
  }),
  ...s3Options,
  ...gcsOptions,
  ...swiftOptions,
  ...glanceOptions,
  ...ellipticsOptions,
  elliptics_nodes: kind(ellipticsOptions.elliptics_nodes, "nodes such as {host: 1025} or host:1025:2"),
  elliptics_groups: kind(ellipticsOptions.elliptics_groups, "groups such as [1, 2] or 1,2"),
  elliptics_addr_family: kind(ellipticsOptions.elliptics_addr_family, "2 or 10"),
  elliptics_node_flags: kind(ellipticsOptions.elliptics_node_flags, "flags such as mix_states, or a number"),
  elliptics_logfile: kind(ellipticsOptions.elliptics_logfile, "a path"),
  elliptics_verbosity: kind(ellipticsOptions.elliptics_verbosity, "a number from 0 to 10, or a level such as info"),
};

/** The defaults that a storage has of its own, for options that several have: the storage's name is as written. */
export function defaultsOfStorage(name: unknown): Readonly<Record<string, unknown>> {
  const definition = typeof name === "string" ? findStorage(name) : undefined;
  const path = definition && fieldsOf(definition.options)?.["storage_path"];
  return path ? { storage_path: defaultOf(path) ?? "" } : {};
}

/** The options that only the storages of other names have. */
export function optionsOfOthers(name: string): ReadonlySet<string> {
  const own = new Set(Object.keys(findStorage(name)?.options.shape ?? {}));
  const others = [
    ...[...storageDefinitions, ...addedStorages().values()].flatMap(({ options }) => Object.keys(options.shape)),
    ...Object.values(absentStorages).flat(),
  ];
  // Ours are used to it, whether they need it or not.
  const isOurs = !addedStorages().has(name);
  return new Set(others.filter((option) => !own.has(option) && (option !== "storage_path" || !isOurs)));
}

/** Storages that files of the original choose, with their options: those are no mistakes, but choosing one is. */
export const absentStorages: Readonly<Record<string, readonly string[]>> = {
  azureblob: ["azure_storage_account_name", "azure_storage_account_key", "azure_storage_container", "azure_use_https"],
  oss: ["oss_host", "oss_bucket", "oss_accessid", "oss_accesskey"],
};
