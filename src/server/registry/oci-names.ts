import { RegistryError } from "../errors.ts";
import { parseDigest, type Digest } from "./digest.ts";

/** A repository as OCI distribution 1.1 spells it: lower-case components joined by `/`, at most 255 characters. */
export type OciName = string & { readonly __ociName: true };

/** A tag as OCI distribution 1.1 spells it. */
export type OciTag = string & { readonly __ociTag: true };

const component = "[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*";
const nameForm = new RegExp(`^${component}(?:/${component})*$`);
const tagForm = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;
const longestName = 255;

/** Rejects with NAME_INVALID. The length is looked at first: the form takes time by the square of it. */
export function parseOciName(text: string): OciName {
  if (isOciName(text)) return text;
  throw new RegistryError("NAME_INVALID", {
    detail: `expected lower-case components joined by /, at most ${longestName} characters`,
  });
}

export function isOciName(text: string): text is OciName {
  return text.length <= longestName && nameForm.test(text);
}

/** Rejects with TAG_INVALID. */
export function parseOciTag(text: string): OciTag {
  if (isOciTag(text)) return text;
  throw new RegistryError("TAG_INVALID", { detail: "expected letters, digits, ., _ and -, at most 128" });
}

export function isOciTag(text: string): text is OciTag {
  return tagForm.test(text);
}

/** What a manifest is asked for by: its digest, or a tag. Whatever has a colon is a digest. */
export type Reference =
  { readonly kind: "digest"; readonly digest: Digest } | { readonly kind: "tag"; readonly tag: OciTag };

/** Rejects with DIGEST_INVALID or TAG_INVALID. */
export function parseReference(text: string): Reference {
  return text.includes(":") ? { kind: "digest", digest: parseDigest(text) } : { kind: "tag", tag: parseOciTag(text) };
}
