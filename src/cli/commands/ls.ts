import type { CommandUnknownOpts } from "@commander-js/extra-typings";
import { jsonOption, type Context } from "../command.ts";
import { factsOf } from "../image-facts.ts";
import { size } from "../progress-bar.ts";
import { registryCommand, withRegistry } from "../registry-access.ts";
import type { Terminal } from "../terminal.ts";
import type { RegistryPort } from "../../server/index.ts";

/** Tags that are asked for side by side. */
const atOnce = 8;

/** Tags that are named below the table for the same reason. */
const mostNamed = 5;

interface ListedTag {
  readonly tag: string;
  readonly kind: string;
  readonly digest?: string;
  readonly size?: number;
  readonly created?: string;
  /** Why V2 does not have it. */
  readonly reason?: string;
}

/** `ls`: what a registry holds. */
export function ls(context: Context): CommandUnknownOpts {
  return registryCommand(context, "ls", {
    summary: "list repositories, or the tags of one",
    description:
      "Lists the repositories of a registry, one a line, or the tags of one with what they are. A running registry is " +
      "asked over HTTP; of one that does not run, the storage is read, and nothing in it is changed.",
    examples: [
      "registryctl ls",
      "registryctl ls team/app --flavor prod",
      "registryctl ls team/app --url https://registry.example.com --username ann --password-stdin < password",
    ],
  })
    .argument("[repository]", "repository whose tags are listed")
    .addOption(jsonOption)
    .action(async (repository, options) => {
      const { terminal } = context;
      await withRegistry(terminal, options, "read", async (registry) => {
        if (repository === undefined) {
          const names: string[] = [];
          for await (const name of registry.repositories()) {
            if (options.json) names.push(name);
            else await terminal.print(name);
          }
          if (options.json) await terminal.json({ repositories: names });
          return;
        }
        const tags = await listed(registry, repository);
        if (options.json) await terminal.json({ repository, tags });
        else await show(terminal, repository, tags);
      });
    });
}

async function listed(registry: RegistryPort, repository: string): Promise<readonly ListedTag[]> {
  const names: string[] = [];
  for await (const tag of registry.tags(repository)) names.push(tag);
  const tags: ListedTag[] = [];
  for (let start = 0; start < names.length; start += atOnce) {
    const group = names.slice(start, start + atOnce);
    tags.push(...(await Promise.all(group.map(async (tag) => await described(registry, repository, tag)))));
  }
  return tags;
}

async function described(registry: RegistryPort, repository: string, tag: string): Promise<ListedTag> {
  const facts = await factsOf(registry, repository, tag);
  if ("reason" in facts) return await inV1Alone(registry, repository, tag, facts.reason);
  const { digest, kind, platforms, artifactType, created } = facts;
  const platform =
    kind === "index" ? ` of ${platforms.length}` : kind === "artifact" && artifactType ? ` ${artifactType}` : "";
  return { tag, kind: `${kind}${platform}`, digest, size: facts.size, ...(created !== undefined && { created }) };
}

async function inV1Alone(registry: RegistryPort, repository: string, tag: string, reason: string): Promise<ListedTag> {
  const chain = await registry.chain(repository, tag);
  if ("reason" in chain) return { tag, kind: "broken", reason };
  const created = chain[0]?.document["created"];
  const total = chain.reduce((sum, image) => sum + (image.size ?? 0), 0);
  return { tag, kind: "V1 image", size: total, ...(typeof created === "string" && { created }), reason };
}

async function show(terminal: Terminal, repository: string, tags: readonly ListedTag[]): Promise<void> {
  if (tags.length === 0) await terminal.note(`${repository} has no tags`);
  else await terminal.table(["TAG", "DIGEST", "KIND", "SIZE", "CREATED"], tags.map(row));
  const byReason = new Map<string, string[]>();
  for (const { tag, reason } of tags) {
    if (reason !== undefined) byReason.set(reason, [...(byReason.get(reason) ?? []), tag]);
  }
  for (const [reason, names] of byReason) {
    const more = names.length > mostNamed ? ` and ${names.length - mostNamed} more` : "";
    await terminal.note(`${names.slice(0, mostNamed).join(", ")}${more}: ${reason}`);
  }
}

function row({ tag, kind, digest, size: bytes, created }: ListedTag): readonly string[] {
  const seconds = created?.replace(/(\d\d:\d\d:\d\d)\.\d+/, "$1") ?? "-";
  return [tag, digest?.slice(0, 19) ?? "-", kind, bytes === undefined ? "-" : size(bytes), seconds];
}
