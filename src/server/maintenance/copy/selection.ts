import { ociNamesOf } from "../../registry/bridge/names.ts";
import { parseRepositoryName, unquotePlus, type RepositoryName } from "../../registry/names.ts";
import { isOciName, type OciName } from "../../registry/oci-names.ts";
import type { Side } from "./side.ts";

/** Which repositories are copied: all, or those that patterns name. */
export interface Selection {
  readonly isEverything: boolean;
  oci(): AsyncIterable<OciName>;
  v1(): AsyncIterable<RepositoryName>;
}

/** All that the store has. */
export function everything({ own }: Side): Selection {
  return { isEverything: true, oci: () => own.catalog.list(), v1: () => own.repositories.all() };
}

/**
 * The repositories that `names` name, as clients spell them; `*` stands for any characters. Docker's `x` is `library/x`
 * too. Rejects when one of them names nothing.
 */
export async function named(from: Side, names: readonly string[]): Promise<Selection> {
  const patterns = names.filter((name) => name.includes("*"));
  const found = await Promise.all(names.filter((name) => !name.includes("*")).map((name) => exactly(from, name)));
  const exact: Places = {
    oci: new Set(found.flatMap(({ oci }) => [...oci])),
    v1: new Map(found.flatMap(({ v1 }) => [...v1])),
  };
  const forms = patterns.map(formOf);
  const selection = { isEverything: false, oci: () => ociNames(from, exact, forms), v1: () => v1Names(from, exact, forms) }; // prettier-ignore
  for (const [index, form] of forms.entries()) await requireAny(from, form, patterns[index] ?? "");
  return selection;
}

interface Places {
  readonly oci: ReadonlySet<OciName>;
  readonly v1: ReadonlyMap<string, RepositoryName>;
}

async function exactly({ own }: Side, text: string): Promise<Places> {
  const repository = parsed(text);
  const oci = new Set<OciName>();
  for (const name of [...(isOciName(text) ? [text] : []), ...(repository ? ociNamesOf(repository) : [])]) {
    if (await own.ociTags.hasRepository(name)) oci.add(name);
  }
  const isInV1 = repository && (await own.repositories.exists(repository));
  const v1 = new Map(isInV1 ? [[spellings(repository)[0], repository]] : []);
  if (oci.size === 0 && v1.size === 0) throw new Error(`it has no repository ${text}`);
  return { oci, v1 };
}

async function* ociNames({ own }: Side, { oci }: Places, forms: readonly RegExp[]): AsyncGenerator<OciName> {
  if (forms.length === 0) yield* oci;
  else for await (const name of own.catalog.list()) if (oci.has(name) || fits(forms, [name])) yield name;
}

async function* v1Names({ own }: Side, { v1 }: Places, forms: readonly RegExp[]): AsyncGenerator<RepositoryName> {
  if (forms.length === 0) {
    yield* v1.values();
    return;
  }
  for await (const repository of own.repositories.all()) {
    const names = spellings(repository);
    if (v1.has(names[0]) || fits(forms, names)) yield repository;
  }
}

async function requireAny(from: Side, form: RegExp, pattern: string): Promise<void> {
  const none: Places = { oci: new Set(), v1: new Map() };
  for await (const name of ociNames(from, none, [form])) if (name !== "") return;
  for await (const { name } of v1Names(from, none, [form])) if (name !== "") return;
  throw new Error(`it has no repository that ${pattern} fits`);
}

function fits(forms: readonly RegExp[], names: readonly string[]): boolean {
  return forms.some((form) => names.some((name) => form.test(name)));
}

function formOf(pattern: string): RegExp {
  const parts = pattern.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`);
}

/** As clients spell it, the whole name first. */
function spellings({ namespace, name }: RepositoryName): readonly [string, ...string[]] {
  const raw = unquotePlus(name) ?? name;
  return [`${namespace}/${raw}`, ...(namespace === "library" ? [raw] : [])];
}

function parsed(text: string): RepositoryName | undefined {
  try {
    return parseRepositoryName(text);
  } catch {
    return undefined;
  }
}
