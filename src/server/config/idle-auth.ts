import type { Complaint } from "./complaints.ts";
import type { Mapping, Node } from "./yaml-tree.ts";

/**
 * What is wrong with a section `auth` that is written and comes to nothing: a registry that is open to all is hardly what
 * is wanted. Only where it waits for nothing but the variables that it has in the sample is it merely off.
 */
export function idleAuth(options: Mapping, values: Readonly<Record<string, unknown>>): readonly Complaint[] {
  const entry = options.entries.get("auth");
  if (!entry || values["auth"] !== undefined || waitsForVariables(entry.value)) return [];
  const problem = "names nothing by which clients could be known, so that the registry would be open to all";
  const remedy = "Name a file in htpasswd and set the variables that are named here, or remove the section.";
  return [{ key: "auth", line: entry.line, problem, remedy }];
}

function waitsForVariables(node: Node): boolean {
  if (node.kind !== "map" || node.entries.size === 0) return false;
  return [...node.entries.values()].every(({ value }) => {
    return value.kind === "scalar" && /^_env:REGISTRY_AUTH_\w+:?$/.test(value.text);
  });
}
