const entities: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

/** The contents of all elements of that name, from the first to the last; for documents whose elements of that name do not nest. */
export function elements(xml: string, name: string): readonly string[] {
  return [...xml.matchAll(new RegExp(`<${name}(?:\\s[^>]*)?>(.*?)</${name}>`, "gs"))].map(
    ([, content = ""]) => content,
  );
}

/** The text of the first element of that name; undefined when there is none. */
export function textOf(xml: string, name: string): string | undefined {
  const [content] = elements(xml, name);
  return content?.replace(/&(?:#x([\da-f]+)|#(\d+)|(\w+));/gi, (all, hex?: string, decimal?: string, word?: string) => {
    if (hex !== undefined) return String.fromCodePoint(Number.parseInt(hex, 16));
    if (decimal !== undefined) return String.fromCodePoint(Number(decimal));
    return entities[word ?? ""] ?? all;
  });
}

/** The text of a key in a listing, which the server has encoded for URLs where it says so. */
export function keyOf(xml: string, name: string, isEncoded: boolean): string {
  const text = textOf(xml, name) ?? "";
  return isEncoded ? decodeURIComponent(text.replaceAll("+", " ")) : text;
}
