import type { LineFault } from "./user-file.ts";

/** By the name of a group, who is in it. */
export type Groups = ReadonlyMap<string, ReadonlySet<string>>;

/** Reads a group file as Apache's: `group: user user …`; a group may have several lines. */
export function parseGroups(text: string): { readonly groups: Groups; readonly faults: readonly LineFault[] } {
  const groups = new Map<string, Set<string>>();
  const faults: LineFault[] = [];
  for (const [index, content] of text.split("\n").entries()) {
    if (/^\s*(#|$)/.test(content)) continue;
    const [, name, members = ""] = /^\s*([^:\s]+)\s*:(.*)$/.exec(content.trimEnd()) ?? [];
    if (name === undefined) {
      faults.push({ line: index + 1, problem: "is not of the form group: user user" });
      continue;
    }
    const group = groups.get(name) ?? new Set();
    for (const member of members.split(/\s+/)) if (member !== "") group.add(member);
    groups.set(name, group);
  }
  return { groups, faults };
}

/** The groups that the configuration itself lists. */
export function groupsOf(lists: Readonly<Record<string, readonly string[]>>): Groups {
  return new Map(Object.entries(lists).map(([name, members]) => [name, new Set(members)]));
}

/** The names of the groups that somebody is in, in the order of the alphabet. */
export function groupsWith(groups: Groups, user: string): readonly string[] {
  return [...groups].flatMap(([name, members]) => (members.has(user) ? [name] : [])).sort();
}
