import { resolveScalar, type Environment } from "./environment.ts";
import type { Complaint } from "./complaints.ts";
import { settingsSchema } from "./schema.ts";
import { fieldsOf } from "./schema-walk.ts";
import { absentStorages, optionsOfOthers } from "./storages.ts";
import type { Entry, Mapping } from "./yaml-tree.ts";

/** A flavor's entries without those that only older registries understand, and what is to be said about them. */
export interface Accommodated {
  readonly options: Mapping;
  readonly problems: readonly Complaint[];
  readonly warnings: readonly Complaint[];
}

/**
 * Makes room for files that were written for the original registry. Options of storages that are not chosen are let pass
 * without a look at their values: a file may hold those of several, not all filled in. Options of `email_exceptions`
 * that stand directly in the flavor are moved to where they belong. `foreign` is the flavor's storage where it is by others.
 */
export function accommodate(flavor: Mapping, env: Environment, foreign?: string): Accommodated {
  const problems: Complaint[] = [];
  const warnings: Complaint[] = [];
  const options = new Map<string, Entry>();
  const stray = new Map<string, Entry>();
  const storage = flavor.entries.get("storage");
  const others = optionsOfOthers(foreign ?? (storage ? textOf(storage, env) : ""));
  for (const [key, entry] of flavor.entries) {
    if (isMailOption(key)) {
      stray.set(key, entry);
      const remedy = `Move it below email_exceptions: it is used as if it stood there.`;
      warnings.push({ key, line: entry.line, problem: "stands outside email_exceptions", remedy });
    } else if (key === "storage" && foreign === undefined && isAbsentStorage(entry, env)) {
      problems.push({ key, line: entry.line, ...absence(textOf(entry, env)) });
    } else if (key === "cloudfront") {
      problems.push({
        key,
        line: entry.line,
        problem: "redirects through CloudFront are not supported",
        remedy: "Remove the section.",
      });
    } else if (!others.has(key)) {
      options.set(key, entry);
    }
  }
  if (stray.size > 0) options.set("email_exceptions", mailSection(options.get("email_exceptions"), stray));
  return { options: { ...flavor, entries: options }, problems, warnings };
}

/** Flavors of the original's sample file that never will be in ours. */
export const unsupportedFlavors: readonly string[] = ["cloudfronts3", "azureblob", "oss"];

/** Keys that a flavor may have beside the schema's own, for suggestions. */
export const optionsOfAbsentStorages: ReadonlySet<string> = new Set(Object.values(absentStorages).flat());

const mailOptions = new Set(Object.keys(fieldsOf(settingsSchema.shape.email_exceptions) ?? {}));

function isMailOption(key: string): boolean {
  return mailOptions.has(key);
}

/** What stands in the section wins over what stands outside. */
function mailSection(section: Entry | undefined, stray: ReadonlyMap<string, Entry>): Entry {
  const [first] = stray.values();
  const line = section?.line ?? first?.line ?? 1;
  const within = section?.value.kind === "map" ? section.value.entries : [];
  return {
    value: { kind: "map", entries: new Map([...stray, ...within]), line },
    line,
    home: section?.home ?? first?.home ?? "",
  };
}

function isAbsentStorage(entry: Entry, env: Environment): boolean {
  return Object.hasOwn(absentStorages, textOf(entry, env));
}

function textOf({ value }: Entry, env: Environment): string {
  return value.kind === "scalar" ? (resolveScalar(value, env)?.text.toLowerCase() ?? "") : "";
}

function absence(name: string): Pick<Complaint, "problem" | "remedy"> {
  return {
    problem: `the storage ${name} is not supported`,
    remedy: "Choose another flavor or storage, such as storage: local.",
  };
}
