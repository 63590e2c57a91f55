import mustache from "mustache";
import { readFile } from "node:fs/promises";
import { packageFolder } from "../server/package-folder.ts";

/** Fills `templates/<name>.mustache`. Values go in as they are: quoting for the target's syntax is the caller's. */
export async function fill(name: string, view: object): Promise<string> {
  const template = await readFile(new URL(`templates/${name}.mustache`, packageFolder), "utf8");
  return mustache.render(template, view, {}, { escape: String });
}
