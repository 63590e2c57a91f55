import type { z } from "zod";
import { isSecret } from "./complaints.ts";
import type { Loaded } from "./flavors.ts";
import type { Place } from "./reading.ts";
import { flavorSchema } from "./schema.ts";
import { defaultOf, elementOf, fieldsOf } from "./schema-walk.ts";
import { optionsOfOthers } from "./storages.ts";

/** Where an effective value comes from. `included` is another flavor, through `<<` or an alias. */
export type Origin =
  | {
      readonly kind: "flavor" | "common" | "included";
      readonly flavor: string;
      readonly line: number;
      readonly unset?: string;
    }
  | { readonly kind: "environment"; readonly variable: string }
  | { readonly kind: "default" };

/** One option as the server will see it. */
export interface EffectiveValue {
  /** With its sections: `http.port`. */
  readonly key: string;
  /** What it is, secrets masked; safe to print and to turn into JSON. */
  readonly value: unknown;
  readonly origin: Origin;
}

/** Every option that has a value and is not of a storage that is not chosen, in the order of the schema; for `config show`. */
export function describe({ settings, places, flavor }: Loaded): readonly EffectiveValue[] {
  const others = optionsOfOthers(settings.storage);
  const schema = flavorSchema(settings.storage);
  return valuesOf(settings, schema, [])
    .filter(({ path: [option = ""] }) => !others.has(option))
    .map(({ path, value }) => ({
      key: path.join("."),
      value: isSecret(schema, path) ? masked(value) : withoutPasswords(value),
      origin: originAt(places.get(path.join(".")), flavor),
    }));
}

/** An origin in a few words: `common, line 12 (LOGLEVEL is not set)`. */
export function originText(origin: Origin): string {
  switch (origin.kind) {
    case "default":
      return "default";
    case "environment":
      return `environment ${origin.variable}`;
    case "flavor":
    case "common":
    case "included": {
      const where = origin.kind === "common" ? "common" : `${origin.kind} ${origin.flavor}`;
      return `${where}, line ${origin.line}${origin.unset === undefined ? "" : ` (${origin.unset} is not set)`}`;
    }
  }
}

interface Leaf {
  readonly path: readonly string[];
  readonly value: unknown;
}

function valuesOf(values: object, schema: z.core.$ZodType, path: readonly string[]): readonly Leaf[] {
  return Object.entries(fieldsOf(schema) ?? {}).flatMap(([name, field]): readonly Leaf[] => {
    // What a driver by others has as its default it fills in itself.
    const value: unknown = Reflect.get(values, name) ?? defaultOf(field);
    if (value === undefined) return [];
    if (typeof value === "object" && value !== null && fieldsOf(field)) return valuesOf(value, field, [...path, name]);
    const element = elementOf(field);
    if (Array.isArray(value) && element && fieldsOf(element)) {
      return value.flatMap((item: object, index) => valuesOf(item, element, [...path, name, String(index)]));
    }
    return [{ path: [...path, name], value }];
  });
}

function originAt(place: Place | undefined, chosen: string): Origin {
  if (place === undefined) return { kind: "default" };
  const { variable, unset, home, line } = place;
  if (variable !== undefined) return { kind: "environment", variable };
  const kind = home === chosen ? "flavor" : home === "common" ? "common" : "included";
  return { kind, flavor: home, line, ...(unset !== undefined && { unset }) };
}

const mask = "******";

/** Of a database's URL, what isn't its password may be seen. */
function masked(value: unknown): unknown {
  return typeof value === "string" && /^(sqlite|postgres[\w+]*):\/\/[^?]*$/.test(value)
    ? withoutPasswords(value)
    : mask;
}

function withoutPasswords(value: unknown): unknown {
  return typeof value === "string" ? value.replace(/(:\/\/[^:@/]*):.*@/s, `$1:${mask}@`) : value;
}
