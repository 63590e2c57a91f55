import { dump } from "js-yaml";
import type { z } from "zod";
import { settingsSchema } from "./schema.ts";
import { fieldsOf, metaOf } from "./schema-walk.ts";

/**
 * Options to be written, by name; a section is an object. `_env:NAME:default` may stand for any value; undefined is
 * left out. `"<<": "name"` includes the flavor or section called so, which must come earlier; `"*name"` as a section is it.
 */
export type Draft = Readonly<Record<string, unknown>>;

/** Remarks beside the options' own descriptions. */
export interface Remarks {
  /** At the top of the file. */
  readonly head?: string;
  /** Above flavors, by name. */
  readonly flavors?: Readonly<Record<string, string>>;
}

/**
 * The text of a configuration file with just these flavors and options, in this order. An option is explained by its
 * description where it is first written. Loading the text gives back what was put in.
 */
export function renderConfig(flavors: Readonly<Record<string, Draft>>, remarks: Remarks = {}): string {
  const writer = new Writer(includedIn(flavors));
  const head = remarks.head === undefined ? [] : [comment(remarks.head, ""), ""];
  const parts = Object.entries(flavors).map(([name, draft]) => {
    const remark = Object.hasOwn(remarks.flavors ?? {}, name) ? remarks.flavors?.[name] : undefined;
    return [...(remark === undefined ? [] : [comment(remark, "")]), ...writer.map(name, draft, settingsSchema, ""), ""];
  });
  return [...head, ...parts.flat()].join("\n").replace(/\n+$/, "\n");
}

type Schema = z.core.$ZodType;

class Writer {
  /** Names that `<<` and aliases refer to, until their anchor is written. */
  readonly #anchors: Set<string>;
  readonly #explained = new Set<string>();

  constructor(anchors: Set<string>) {
    this.#anchors = anchors;
  }

  map(name: string, draft: Draft, schema: Schema, indent: string): string[] {
    const entries = Object.entries(draft).filter(([, value]) => value !== undefined);
    const anchor = this.#anchors.delete(name) ? ` &${name}` : "";
    const key = `${indent}${inline(name)}:${anchor}`;
    if (entries.length === 0) return [`${key} {}`];
    return [key, ...entries.flatMap(([option, value]) => this.#option(option, value, schema, `${indent}  `))];
  }

  #option(name: string, value: unknown, schema: Schema, indent: string): string[] {
    if (name === "<<") return [`${indent}<<: *${String(value)}`];
    const fields = fieldsOf(schema) ?? {};
    const field = Object.hasOwn(fields, name) ? fields[name] : undefined;
    const explained = this.#explanation(field, indent);
    const section = field && fieldsOf(field) ? field : undefined;
    if (section && isSection(value)) return [...explained, ...this.map(name, value, section, indent)];
    const text = section && value === `*${name}` ? value : inline(value);
    return [...explained, `${indent}${inline(name)}: ${text}`];
  }

  #explanation(field: Schema | undefined, indent: string): string[] {
    const { description } = field ? metaOf(field) : {};
    if (description === undefined || this.#explained.has(description)) return [];
    this.#explained.add(description);
    return [comment(description, indent)];
  }
}

function isSection(value: unknown): value is Draft {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The names that `<<` and aliases mention anywhere. */
function includedIn(draft: Draft): Set<string> {
  const names = Object.entries(draft).flatMap(([name, value]) => {
    if (isSection(value)) return [...includedIn(value)];
    return typeof value === "string" && (name === "<<" || value === `*${name}`) ? [value.replace(/^\*/, "")] : [];
  });
  return new Set(names);
}

/** A value on one line. */
function inline(value: unknown): string {
  if (typeof value === "string" && /[\p{Cc}\p{Zl}\p{Zp}]/u.test(value)) return JSON.stringify(value);
  return dump(value, { flowLevel: 0, lineWidth: -1, noRefs: true, quoteStyle: "double" }).trimEnd();
}

function comment(text: string, indent: string): string {
  const lines: string[] = [];
  let line = `${indent}#`;
  for (const word of text.split(" ")) {
    if (line.length + 1 + word.length > 100 && line !== `${indent}#`) {
      lines.push(line);
      line = `${indent}#`;
    }
    line += ` ${word}`;
  }
  return [...lines, line].join("\n");
}
