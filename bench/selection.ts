import type { Group } from "./workloads/workload.ts";

/**
 * The workloads that are named, by themselves or with their whole group; without names all but those of object stores,
 * which take as long again. Throws on a name that there isn't.
 */
export function chosen(groups: readonly Group[], names: readonly string[] | undefined): readonly Group[] {
  if (names === undefined) return groups.filter(({ store }) => store === undefined);
  const known = groups.flatMap(({ name, workloads }) => [name, ...workloads.map((workload) => workload.name)]);
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length > 0) throw new Error(`There is no workload ${unknown.join(", ")}; --list names them`);
  return groups
    .map((group) => ({
      ...group,
      workloads: group.workloads.filter(({ name }) => names.includes(group.name) || names.includes(name)),
    }))
    .filter(({ workloads }) => workloads.length > 0);
}
