/** What `storage_path` means as the beginning of names. */
export function prefixOf(path: string): string {
  return path.split("/").filter((part) => part !== "").join("/"); // prettier-ignore
}
