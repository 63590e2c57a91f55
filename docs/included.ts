import { readFileSync } from "node:fs";

/**
 * A hand-written page with the files that it names between `<!-- file: PATH -->` and `<!-- end of file -->`, as they are
 * now; paths are from the root of the project.
 */
export function pageWithFiles(page: string): string {
  const text = contentOf(page);
  return text.replace(/(<!-- file: (\S+) -->\n)[^]*?(<!-- end of file -->)/g, (_, start: string, path: string, end) => {
    const language = path.split(".").at(-1) ?? "";
    return `${start}\n\`\`\`${language}\n${contentOf(path).trimEnd()}\n\`\`\`\n\n${String(end)}`;
  });
}

function contentOf(path: string): string {
  return readFileSync(new URL(`../${path}`, import.meta.url), "utf8");
}
