import { z } from "zod";
import { didYouMean } from "./did-you-mean.ts";
import type { Place } from "./reading.ts";
import { hasWords, inner, metaOf, schemaAt, wordsFor } from "./schema-walk.ts";

/** What a schema has against a value, in words for the operator. */
export interface Complaint {
  readonly key: string;
  /** 0 when it isn't about anything in the file; without it, the flavor is meant. */
  readonly line?: number;
  readonly problem: string;
  readonly remedy: string;
}

/** Puts what zod found wrong with `values` into words, one complaint an option, without ever quoting a secret. */
export function complaintsAbout(
  values: unknown,
  schema: z.core.$ZodType,
  issues: readonly z.core.$ZodIssue[],
  places: ReadonlyMap<string, Place>,
): Complaint[] {
  const firsts = new Map(issues.toReversed().map((issue) => [keyOf(issue), issue]));
  return issues
    .filter((issue) => firsts.get(keyOf(issue)) === issue)
    .map((issue) => {
      const place = nearestPlace(places, issue.path);
      const key = keyOf(issue);
      const expected = schemaAt(schema, issue.path);
      const value = issue.path.reduce<unknown>(childOf, values);
      const words = expected ? wordsFor(expected) : "what this version takes";
      return {
        key,
        ...(place && { line: place.line }),
        ...(value === undefined
          ? { problem: "is missing", remedy: `Add ${key.split(".").at(-1) ?? key}: ${words}.` }
          : {
              problem: isSecret(schema, issue.path)
                ? `the value is not ${reason(issue, expected) === "" ? words : "of the right form"}`
                : `${shown(value)} is not ${words}${reason(issue, expected)}`,
              remedy: `${meant(expected, value)}${instruction(place, words)}`,
            }),
      };
    });
}

/** Whether an option, or the section around it, is marked secret. */
export function isSecret(schema: z.core.$ZodType, path: readonly PropertyKey[]): boolean {
  return path.some((_, index) => {
    const part = schemaAt(schema, path.slice(0, index + 1));
    return part !== undefined && metaOf(part).secret === true;
  });
}

function keyOf({ path }: z.core.$ZodIssue): string {
  return path.filter((part) => typeof part === "string").join(".");
}

function nearestPlace(places: ReadonlyMap<string, Place>, path: readonly PropertyKey[]): Place | undefined {
  for (let length = path.length; length > 0; length--) {
    const place = places.get(path.slice(0, length).join("."));
    if (place) return place;
  }
  return undefined;
}

function instruction(place: Place | undefined, words: string): string {
  return place?.variable === undefined ? `Write ${words}.` : `Set ${place.variable} to ${words}, or unset it.`;
}

function meant(schema: z.core.$ZodType | undefined, value: unknown): string {
  const base = schema && inner(schema);
  return base instanceof z.ZodEnum && typeof value === "string" ? didYouMean(value, base.options.map(String)) : "";
}

/** What a driver by others has against a value of the right type; for our own options their words say it. */
function reason({ code, message }: z.core.$ZodIssue, expected: z.core.$ZodType | undefined): string {
  const isTold = expected !== undefined && hasWords(expected);
  return !isTold && (code === "invalid_format" || code === "custom") ? `: ${message}` : "";
}

/** Nothing that could hold a password is repeated. */
function shown(value: unknown): string {
  if (typeof value === "object") return Array.isArray(value) ? "a list" : "a map";
  if (typeof value !== "string") return typeof value === "number" ? String(value) : "the value";
  return value.includes("@") ? "the value" : JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
}

function childOf(parent: unknown, key: PropertyKey): unknown {
  return typeof parent === "object" && parent !== null && Object.hasOwn(parent, key)
    ? Reflect.get(parent, key)
    : undefined;
}
