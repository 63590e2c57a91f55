/** `text` as every database can hold it: without NUL, which PostgreSQL refuses, and without lone surrogates. */
export function storable(text: string): string {
  return Buffer.from(text.replaceAll("\0", ""), "utf8").toString("utf8");
}

/**
 * The form in which texts are compared: two that differ only in case or in how accents are encoded fold to the same.
 * Done here because SQLite's lower() knows ASCII alone and PostgreSQL's depends on the locale of the database.
 */
export function fold(text: string): string {
  // To upper case first: only so do ß and SS, or ς and Σ, meet. The final sigma then depends on what follows it.
  return storable(text).normalize("NFC").toUpperCase().toLowerCase().replaceAll("ς", "σ").normalize("NFC");
}
