import { z } from "zod";
import { kinds } from "./values.ts";

type Schema = z.core.$ZodType;

/** The schemas of an object's keys, through whatever makes it optional; undefined for anything else. */
export function fieldsOf(schema: Schema): Readonly<Record<string, Schema>> | undefined {
  const base = inner(schema);
  return base instanceof z.ZodObject ? base.shape : undefined;
}

/** The schema of a list's elements; undefined for anything else. */
export function elementOf(schema: Schema): Schema | undefined {
  const base = inner(schema);
  return base instanceof z.ZodArray ? base.element : undefined;
}

/** What takes the value as it is written: without the layers that make it optional, give defaults or transform it. */
export function inner(schema: Schema): Schema {
  return layers(schema).at(-1) ?? schema;
}

/** What `option` said about a schema. */
export function metaOf(schema: Schema): z.core.GlobalMeta {
  return z.globalRegistry.get(schema) ?? {};
}

/** The default of an option, as it is written in a file; undefined when it has none. */
export function defaultOf(schema: Schema): unknown {
  const layer = layers(schema).find((each) => each instanceof z.ZodDefault);
  return layer?.def.defaultValue;
}

/** Whether a flavor (or a section that is there) must name it. */
export function isRequired(schema: Schema): boolean {
  return schema._zod.optin !== "optional";
}

/** Whether it is the path of a file or folder. */
export function isPath(schema: Schema): boolean {
  return z.globalRegistry.get(inner(schema))?.["format"] === "path";
}

/** The schema of an option such as `http.port`; elements of lists and maps have the schema of their option's elements. */
export function schemaAt(schema: Schema, path: readonly PropertyKey[]): Schema | undefined {
  const [key, ...rest] = path;
  if (key === undefined) return schema;
  const base = inner(schema);
  const next =
    base instanceof z.ZodArray
      ? base.element
      : base instanceof z.ZodRecord
        ? base.valueType
        : typeof key === "string"
          ? fieldsOf(base)?.[key]
          : undefined;
  return next && schemaAt(next, rest);
}

/** Whether somebody has said what a value should be, so that the type alone need not. */
export function hasWords(schema: Schema): boolean {
  return layers(schema).some((layer) => kinds.has(layer));
}

/** What a value should be, to go after "is not" and "Write": "true or false", "a whole number from 1 to 65535". */
export function wordsFor(schema: Schema): string {
  for (const layer of layers(schema)) {
    const words = kinds.get(layer)?.words;
    if (words !== undefined) return words;
  }
  const base = inner(schema);
  if (base instanceof z.ZodBoolean) return "true or false";
  if (base instanceof z.ZodEnum) return choice(base.options.map(String));
  if (base instanceof z.ZodNumber) return `a whole number${range(base)}`;
  if (base instanceof z.ZodArray) return `a list, each ${wordsFor(base.element)}`;
  const fields = fieldsOf(base);
  if (fields) return `a map of ${choice(Object.keys(fields), "and")}`;
  return base instanceof z.ZodRecord ? "a map" : "a text";
}

/** "a, b or c". */
export function choice(words: readonly string[], last = "or"): string {
  return words.length < 2 ? words.join() : `${words.slice(0, -1).join(", ")} ${last} ${words.slice(-1).join()}`;
}

function range({ minValue, maxValue }: z.ZodNumber): string {
  const most = maxValue ?? Infinity;
  return most < Number.MAX_SAFE_INTEGER ? ` from ${minValue ?? 0} to ${most}` : ` from ${minValue ?? 0} up`;
}

/** The schema and all that it wraps, from the outside in. */
function layers(schema: Schema): readonly Schema[] {
  const next =
    schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault
      ? schema.unwrap()
      : schema instanceof z.ZodPipe
        ? schema.in
        : undefined;
  return next === undefined ? [schema] : [schema, ...layers(next)];
}
