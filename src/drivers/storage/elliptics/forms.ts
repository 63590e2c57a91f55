/** Content that lies under a key of its own. */
export interface ContentRef {
  readonly id: string;
  readonly size: number;
}

/**
 * What the bytes under a key mean. The Python registry's driver had two meanings: an object without bytes, which servers don't
 * keep, and a folder. Ours are a reference to content elsewhere, and an object that has been deleted where a group could not
 * be told.
 */
export type Form =
  | { readonly kind: "plain" }
  | { readonly kind: "empty" }
  | { readonly kind: "folder" }
  | { readonly kind: "reference"; readonly content: ContentRef }
  | { readonly kind: "deleted" };

export const emptyBytes = Buffer.from("EMPTY");
export const folderBytes = Buffer.from("DIRECTORY");
export const deletedBytes = Buffer.from("registryctl: this object has been deleted\n");

const reference = /^registryctl: content ([\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}) (\d{16})\n$/;

/** The bytes of a reference. */
export function referenceTo({ id, size }: ContentRef): Buffer {
  return Buffer.from(`registryctl: content ${id} ${String(size).padStart(16, "0")}\n`);
}

const referenceSize = referenceTo({ id: "0".repeat(36), size: 0 }).length;
const specialSizes = new Set([emptyBytes.length, folderBytes.length, deletedBytes.length, referenceSize]);

/** Whether an object of so many bytes may be something else than it looks like. */
export function mayBeSpecial(size: number): boolean {
  return specialSizes.has(size);
}

/** What all bytes of an object mean. An object of a client's that looks like something else has to be kept elsewhere. */
export function formOf(bytes: Buffer): Form {
  if (!mayBeSpecial(bytes.length)) return { kind: "plain" };
  if (bytes.equals(emptyBytes)) return { kind: "empty" };
  if (bytes.equals(folderBytes)) return { kind: "folder" };
  if (bytes.equals(deletedBytes)) return { kind: "deleted" };
  const [, id, size] = reference.exec(bytes.toString("latin1")) ?? [];
  return id === undefined ? { kind: "plain" } : { kind: "reference", content: { id, size: Number(size) } };
}
