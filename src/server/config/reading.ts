import { z } from "zod";
import { resolveScalar, variable, type Environment, type ResolvedScalar } from "./environment.ts";
import { fieldsOf, inner, isPath, metaOf } from "./schema-walk.ts";
import { isNull, parseTree, type Mapping, type Node } from "./yaml-tree.ts";

/** Where the value of an option comes from. */
export interface Place {
  /** 0 when the file says nothing of it. */
  readonly line: number;
  /** The flavor (or other outermost key) it is written in; empty when the file says nothing of it. */
  readonly home: string;
  /** The environment variable that said it. */
  readonly variable?: string;
  /** The environment variable that could have said it, but isn't set. */
  readonly unset?: string;
}

/** A key that nobody knows. */
export interface Stranger {
  readonly path: readonly string[];
  readonly line: number;
  /** The keys that would be known there. */
  readonly known: readonly string[];
}

type Schema = z.core.$ZodType;

/**
 * Turns what YAML and the environment wrote into values of the types that a schema asks for. It never fails: text that
 * can't be what is asked for stays text, and the schema then says what is wrong with it.
 */
export class Reading {
  /** By path, parts joined with dots. */
  readonly places = new Map<string, Place>();
  readonly strangers: Stranger[] = [];
  readonly #env: Environment;
  readonly #literal: boolean;

  /** `literal` reads what a variable said, or its default: `_env:` means nothing there. */
  constructor(env: Environment, literal = false) {
    this.#env = env;
    this.#literal = literal;
  }

  /** The value of `node` for `schema`; undefined when it comes out absent. `path` and `place` are where it stands. */
  read(node: Node, schema: Schema, path: readonly string[], place: Place): unknown {
    if (isNull(node)) return undefined;
    const base = inner(schema);
    if (node.kind === "scalar") {
      const scalar: ResolvedScalar | undefined = this.#literal ? node : resolveScalar(node, this.#env);
      return scalar && this.#scalar(scalar, base, path, { ...place, ...originOf(scalar) });
    }
    this.places.set(path.join("."), place);
    if (base instanceof z.ZodUnion) return this.#union(node, base.options, path, place);
    if (node.kind === "map") {
      if (fieldsOf(base)) return this.object(node, base, path);
      return base instanceof z.ZodRecord ? this.#record(node, base.valueType, path) : {};
    }
    if (!(base instanceof z.ZodArray)) return [];
    return node.items
      .map((item, index) => this.read(item, base.element, [...path, String(index)], { ...place, line: item.line }))
      .filter((value) => value !== undefined);
  }

  /** The values of a map's keys, or undefined when none has any. Variables of the server itself fill what is absent. */
  object(node: Mapping, schema: Schema, path: readonly string[]): Readonly<Record<string, unknown>> | undefined {
    const fields = fieldsOf(schema) ?? {};
    const names = new Set(Object.keys(fields));
    const aliases = new Map(
      Object.entries(fields).flatMap(([name, field]) => (metaOf(field).aliases ?? []).map((alias) => [alias, name])),
    );
    const values = new Map<string, unknown>();
    for (const [key, { value, line, home }] of node.entries) {
      const name = aliases.get(key) ?? key;
      const field = names.has(name) ? fields[name] : undefined;
      if (!field) this.strangers.push({ path: [...path, key], line, known: [...names] });
      else if (name === key || !node.entries.has(name)) {
        values.set(name, this.read(value, field, [...path, name], { line, home }));
      }
    }
    for (const [name, field] of Object.entries(fields)) {
      if (values.get(name) === undefined) values.set(name, this.#unwritten(field, [...path, name]));
    }
    const present = [...values].filter(([, value]) => value !== undefined);
    return present.length === 0 ? undefined : Object.fromEntries(present);
  }

  /** What the environment says about an option that the file leaves out. */
  #unwritten(field: Schema, path: readonly string[]): unknown {
    if (fieldsOf(field)) return this.object({ kind: "map", entries: new Map(), line: 0 }, field, path);
    for (const name of metaOf(field).env ?? []) {
      const text = isServerVariable(name) ? (variable(this.#env, name) ?? "") : "";
      if (text === "") continue;
      const scalar = { kind: "scalar", text, plain: false, line: 0 } as const;
      return this.#scalar(scalar, inner(field), path, { line: 0, home: "", variable: name });
    }
    return undefined;
  }

  #record(node: Mapping, element: Schema, path: readonly string[]): unknown {
    const values = [...node.entries].map(([key, { value, line, home }]): [string, unknown] => [
      key,
      this.read(value, element, [...path, key], { line, home }),
    ]);
    return Object.fromEntries(values.filter(([, value]) => value !== undefined));
  }

  #scalar(scalar: ResolvedScalar, base: Schema, path: readonly string[], place: Place): unknown {
    const { text } = scalar;
    if (text === "" && !(base instanceof z.ZodString && (base.minLength ?? 0) === 0)) return undefined;
    this.places.set(path.join("."), place);
    if (base instanceof z.ZodString) return isPath(base) ? this.#expanded(text) : text;
    if (base instanceof z.ZodBoolean) return booleans.get(text.toLowerCase()) ?? text;
    if (base instanceof z.ZodNumber) return /^[+-]?\d+(\.\d+)?$/.test(text) ? Number(text) : text;
    if (base instanceof z.ZodEnum) return wordAmong(base.options, text);
    if (base instanceof z.ZodLiteral) return wordAmong([...base.values], text);
    const flow = /^\s*[[{]/.test(text);
    if (base instanceof z.ZodUnion) {
      const options = flow ? base.options.toSorted((a, b) => Number(isScalar(a)) - Number(isScalar(b))) : base.options;
      return this.#union(scalar, options, path, place);
    }
    if (flow) {
      const { root, flaws } = parseTree(text);
      const nodeKind = base instanceof z.ZodArray ? "list" : "map";
      return root?.kind === nodeKind && flaws.length === 0 ? this.#attempt(true, root, base, path, place) : text;
    }
    if (!(base instanceof z.ZodArray)) return text;
    const parts = text.split(/[\s,]+/).filter((part) => part !== "");
    const items = parts.map((part) => ({ kind: "scalar", text: part, plain: false, line: scalar.line }) as const);
    return this.#attempt(true, { kind: "list", items, line: scalar.line }, base, path, place);
  }

  /** The first alternative that takes the value; otherwise what the first one makes of it. */
  #union(node: Node, options: readonly Schema[], path: readonly string[], place: Place): unknown {
    const literal = this.#literal || node.kind === "scalar";
    const fitting = options.find((option) => {
      const value = new Reading(this.#env, literal).read(node, option, path, place);
      return value !== undefined && z.core.safeParse(option, value).success;
    });
    const chosen = fitting ?? options[0];
    return chosen && this.#attempt(literal, node, chosen, path, place);
  }

  /** Reads a part on its own terms; all of it stands at `place` when it was one text. */
  #attempt(literal: boolean, node: Node, schema: Schema, path: readonly string[], place: Place): unknown {
    const reading = new Reading(this.#env, literal);
    const value = reading.read(node, schema, path, place);
    for (const [key, at] of reading.places) this.places.set(key, literal ? place : at);
    for (const each of reading.strangers) this.strangers.push(literal ? { ...each, line: place.line } : each);
    return value;
  }

  #expanded(path: string): string {
    const home = variable(this.#env, "HOME") ?? "";
    return path.startsWith("~/") && home !== "" ? home + path.slice(1) : path;
  }
}

const booleans: ReadonlyMap<string, boolean> = new Map([
  ...["true", "yes", "on", "1"].map((word): [string, boolean] => [word, true]),
  ...["false", "no", "off", "0"].map((word): [string, boolean] => [word, false]),
]);

/**
 * Variables that count without being named in the file: those that only this server (or the one it follows) reads, and
 * those that every program reads its AWS keys from.
 */
function isServerVariable(name: string): boolean {
  return /^(REGISTRY|GUNICORN)_|^AWS_(ACCESS_KEY_ID|SECRET_ACCESS_KEY|SESSION_TOKEN)$|^OAUTH2_CLIENT_(ID|SECRET)$|^OS_(AUTH_URL|USERNAME|PASSWORD|TENANT_NAME|PROJECT_NAME|REGION_NAME|CACERT|GLANCE_URL|(USER|PROJECT)_DOMAIN_(NAME|ID))$/.test(
    name,
  );
}

function originOf({ variable, unset }: ResolvedScalar): Partial<Place> {
  return { ...(variable !== undefined && { variable }), ...(unset !== undefined && { unset }) };
}

function isScalar(schema: Schema): boolean {
  const base = inner(schema);
  return !(base instanceof z.ZodArray || base instanceof z.ZodRecord || base instanceof z.ZodObject);
}

/** The word that `text` is in another case; else the text. */
function wordAmong(words: readonly unknown[], text: string): unknown {
  return words.find((word) => String(word) === text.toLowerCase()) ?? text;
}
