import { RegistryError } from "../errors.ts";

/** `namespace/name` of a V1 repository; `name` is percent-encoded where the client's had a `/` or odd characters. */
export interface RepositoryName {
  readonly namespace: string;
  readonly name: string;
}

/** The id of a V1 image: 64 hex digits from docker, but old clients and tests used shorter words. */
export type ImageId = string & { readonly __imageId: true };

/** A tag as V1 clients spell it: printable ASCII without `/`. */
export type TagName = string & { readonly __tagName: true };

const printable = /^[\x20-\x7e]+$/;
/** File systems allow 255 bytes; a tag's longest file name is `tag<tag>_json`. */
const longestComponent = 240;

/** Rejects with IMAGE_ID_INVALID what could not be an image's id. */
export function parseImageId(text: string): ImageId {
  if (isImageId(text)) return text;
  throw new RegistryError("IMAGE_ID_INVALID");
}

/** Whether `text` could be an image's id. */
export function isImageId(text: unknown): text is ImageId {
  return typeof text === "string" && /^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$/.test(text);
}

/**
 * A repository as it stands in a V1 URL, decoded: one part is in `library`; of several, the first is the namespace and
 * the rest, encoded, the name. Rejects with NAME_INVALID.
 */
export function parseRepositoryName(text: string): RepositoryName {
  const slash = text.indexOf("/");
  const namespace = slash < 0 ? "library" : text.slice(0, slash);
  const name = quotePlus(slash < 0 ? text : text.slice(slash + 1));
  if (!printable.test(text) || text.includes("\\") || !isStorable(namespace) || !isStorable(name)) {
    throw new RegistryError("NAME_INVALID");
  }
  return { namespace, name };
}

/** As tokens and search results show it. */
export function repositoryText(repository: RepositoryName): string {
  return `${repository.namespace}/${repository.name}`;
}

/** Undoes `repositoryText`; undefined for a text that names no repository. */
export function repositoryOfText(text: string): RepositoryName | undefined {
  const [namespace = "", name = "", ...rest] = text.split("/");
  const spelt = printable.test(text) && rest.length === 0 && unquotePlus(name) !== undefined;
  return spelt && isStorable(namespace) && isStorable(name) ? { namespace, name } : undefined;
}

/** Rejects with TAG_INVALID. */
export function parseTagName(text: string): TagName {
  if (printable.test(text) && !text.includes("/") && isStorable(text)) return text as TagName;
  throw new RegistryError("TAG_INVALID");
}

function isStorable(text: string): boolean {
  return text.length > 0 && quoteElement(quotePlus(text)).length <= longestComponent;
}

/** Python's `urllib.quote_plus` with nothing else safe. */
export function quotePlus(text: string): string {
  return text.replace(/[^A-Za-z0-9_.-]/g, (character) =>
    character === " " ? "+" : `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`,
  );
}

/** Undoes `quotePlus`; undefined when `text` is not something that it makes. */
export function unquotePlus(text: string): string | undefined {
  try {
    const raw = decodeURIComponent(text.replaceAll("+", " "));
    return quotePlus(raw) === text ? raw : undefined;
  } catch {
    return undefined;
  }
}

/** A component of a key as docker-registry 0.8 and later wrote it: dots alone would climb, so they are encoded twice. */
export function quoteElement(text: string): string {
  return quotePlus(text === "." || text === ".." ? text.replaceAll(".", "%2E") : text);
}

/** Undoes `quoteElement`; undefined when `text` is not something that it makes. */
export function unquoteElement(text: string): string | undefined {
  const once = unquotePlus(text);
  return once === "%2E" || once === "%2E%2E" ? once.replaceAll("%2E", ".") : once;
}

/**
 * The repository kept in `repositories/<namespace folder>/<name folder>`, whichever version of the Python registry
 * named the folders; undefined for folders that none of them made.
 */
export function repositoryOfFolders(namespaceFolder: string, nameFolder: string): RepositoryName | undefined {
  const quoted = unquoteElement(nameFolder);
  const name = [quoted, nameFolder].find((text) => text !== undefined && unquotePlus(text) !== undefined);
  const namespace = unquoteElement(namespaceFolder) ?? namespaceFolder;
  return name === undefined || !printable.test(namespace) ? undefined : { namespace, name };
}
