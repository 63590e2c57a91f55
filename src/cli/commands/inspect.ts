import type { CommandUnknownOpts } from "@commander-js/extra-typings";
import { jsonOption, type Context } from "../command.ts";
import { CommandError } from "../exit.ts";
import { factsOf, contentOf, type ImageFacts } from "../image-facts.ts";
import { parseImageName, type ImageName } from "../image-name.ts";
import { size } from "../progress-bar.ts";
import { registryCommand, withRegistry } from "../registry-access.ts";
import type { Terminal } from "../terminal.ts";
import type { RegistryPort, V1ImageView } from "../../server/index.ts";

/** Tags that are asked for side by side. */
const atOnce = 8;

interface Inspection {
  readonly facts: ImageFacts | { readonly reason: string };
  readonly chain: readonly V1ImageView[] | { readonly reason: string };
  /** The other tags of the repository that need a layer, by its digest. */
  readonly shared: ReadonlyMap<string, readonly string[]>;
}

/** `inspect`: what an image is, as clients of either protocol see it. */
export function inspect(context: Context): CommandUnknownOpts {
  return registryCommand(context, "inspect", {
    summary: "show what an image is in both protocols",
    description:
      "Shows an image as clients of today see it (manifest, configuration, layers, platforms) and as those of V1 do (the " +
      "chain of images), its size, and which of its layers other tags of the repository have too. A running registry is " +
      "asked over HTTP; of one that does not run, the storage is read, and nothing in it is changed.",
    examples: ["registryctl inspect team/app:1.0", "registryctl inspect team/app:1.0 --flavor prod --json"],
  })
    .argument("<image>", "NAME:TAG or NAME@DIGEST; without a tag, latest")
    .addOption(jsonOption)
    .action(async (text, options) => {
      const { terminal } = context;
      const name = parseImageName(text, "latest");
      await withRegistry(terminal, options, "read", async (registry) => {
        const inspection = await inspected(registry, name);
        const { facts, chain } = inspection;
        if ("reason" in facts && "reason" in chain) {
          throw new CommandError("failed", `${registry.name} can't show ${text}: ${facts.reason}`);
        }
        await (options.json ? terminal.json(asJson(name, inspection)) : show(terminal, name, inspection));
      });
    });
}

async function inspected(registry: RegistryPort, { repository, reference, isDigest }: ImageName): Promise<Inspection> {
  const facts = await factsOf(registry, repository, reference);
  const chain = isDigest ? { reason: "V1 names images by tags" } : await registry.chain(repository, reference);
  const shared =
    "reason" in facts ? new Map<string, string[]>() : await sharing(registry, repository, reference, facts);
  return { facts, chain, shared };
}

async function sharing(registry: RegistryPort, repository: string, reference: string, facts: ImageFacts) {
  const own = new Set(layersOf(facts).map(({ digest }) => digest));
  const shared = new Map<string, string[]>();
  let group: string[] = [];
  const look = async (): Promise<void> => {
    const found = await Promise.all(group.map(async (tag) => await factsOf(registry, repository, tag)));
    for (const [index, other] of found.entries()) {
      if ("reason" in other || other.digest === facts.digest) continue;
      for (const digest of contentOf(other).keys()) {
        if (own.has(digest)) shared.set(digest, [...(shared.get(digest) ?? []), group[index] ?? ""]);
      }
    }
    group = [];
  };
  for await (const tag of registry.tags(repository)) {
    if (tag !== reference) group.push(tag);
    if (group.length === atOnce) await look();
  }
  await look();
  return shared;
}

/** Those of an image, or of all images of an index, each once. */
function layersOf({ layers, platforms }: ImageFacts): ImageFacts["layers"] {
  const all = [...layers, ...platforms.flatMap(({ facts }) => (facts ? layersOf(facts) : []))];
  return [...new Map(all.map((layer) => [layer.digest, layer])).values()];
}

function asJson({ repository, reference }: ImageName, { facts, chain, shared }: Inspection): object {
  const v1 = "reason" in chain ? { problem: chain.reason } : { images: chain.map(v1Json) };
  if ("reason" in facts) return { repository, reference, v2: { problem: facts.reason }, v1 };
  return { repository, reference, v2: { ...ociJson(facts), shared: Object.fromEntries(shared) }, v1 };
}

function ociJson({ platforms, ...facts }: ImageFacts): object {
  const below = platforms.map(({ facts: image, ...named }) => ({ ...(image && ociJson(image)), ...named }));
  return { ...facts, ...(below.length > 0 && { platforms: below }) };
}

function v1Json({ id, size: bytes, document }: V1ImageView): object {
  return { id, size: bytes, created: document["created"], createdBy: commandOf(document) };
}

async function show(terminal: Terminal, { repository, reference, isDigest }: ImageName, inspection: Inspection) {
  const { facts, chain, shared } = inspection;
  await terminal.print(`${repository}${isDigest ? "@" : ":"}${reference}`);
  if ("reason" in facts) await terminal.print(`V2: ${facts.reason}`);
  else await showManifest(terminal, facts, shared);
  if ("reason" in chain) {
    if (!isDigest) await terminal.print(`\nV1: ${chain.reason}`);
    return;
  }
  const rows = chain.map(({ id, size: bytes, document }) => [
    id.slice(0, 12),
    bytes === undefined ? "-" : size(bytes),
    textOf(document["created"]),
    shortened(commandOf(document)),
  ]);
  await terminal.print("");
  await terminal.table(["V1 IMAGE", "SIZE", "CREATED", "CREATED BY"], rows);
}

async function showManifest(terminal: Terminal, facts: ImageFacts, shared: Inspection["shared"]): Promise<void> {
  const { digest, kind, mediaType, artifactType, platform, created, config, platforms } = facts;
  const lines = [
    ["digest", digest],
    ["kind", `${kind}, ${mediaType}`],
    ["type", artifactType],
    ["platform", platform],
    ["created", created],
    ["size", size(facts.size)],
    ["config", config && `${config.digest}, ${size(config.size)}`],
  ].flatMap(([title = "", value]) => (value === undefined ? [] : [`${title.padEnd(9)} ${value}`]));
  await terminal.print(lines.join("\n"));
  if (platforms.length > 0) {
    const rows = platforms.map((each) => [each.platform, each.digest, each.facts ? size(each.facts.size) : "missing"]);
    await terminal.print("");
    await terminal.table(["PLATFORM", "DIGEST", "SIZE"], rows);
  }
  const layers = layersOf(facts).map((layer) => [
    layer.digest,
    size(layer.size),
    layer.mediaType.replace(/^application\//, ""),
    shortened((shared.get(layer.digest) ?? []).join(", ")),
  ]);
  if (layers.length === 0) return;
  await terminal.print("");
  await terminal.table(["LAYER", "SIZE", "TYPE", "ALSO IN"], layers);
}

/** What V1 says of the command that made an image. */
function commandOf(document: V1ImageView["document"]): string {
  const container = document["container_config"];
  const words: unknown =
    typeof container === "object" && container !== null && "Cmd" in container ? container.Cmd : undefined;
  return Array.isArray(words) ? words.filter((word) => typeof word === "string").join(" ") : "";
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value.replace(/(\d\d:\d\d:\d\d)\.\d+/, "$1") : "-";
}

function shortened(text: string): string {
  const line = text.replace(/\s+/g, " ");
  return line.length > 60 ? `${line.slice(0, 59)}…` : line;
}
