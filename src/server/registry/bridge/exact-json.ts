import { isLosslessNumber, parse } from "lossless-json";
import { isObject } from "../documents.ts";

/** A JSON object whose numbers are kept as they are spelt: docker writes sizes that a `number` would round. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** No image's document comes near this; what is deeper would overflow the stack of whoever reads it. */
const deepest = 100;

/**
 * The object, or undefined when `bytes` are no UTF-8, no JSON, no object, or nested absurdly. Of equal keys the last
 * counts, as it does for docker.
 */
export function parseExact(bytes: Uint8Array): JsonObject | undefined {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    const value = parse(text, null, { onDuplicateKey: ({ newValue }) => newValue });
    return isJsonObject(value) && !isDeeper(value, deepest) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Whether `value`, out of `parseExact`, is an object and not a number. */
export function isJsonObject(value: unknown): value is JsonObject {
  return isObject(value) && !isLosslessNumber(value);
}

/** How a number out of `parseExact` is spelt; undefined for anything else. */
export function numberText(value: unknown): string | undefined {
  return isLosslessNumber(value) ? value.value : undefined;
}

/**
 * The one way to write a value: keys sorted, no spaces, text in UTF-8, numbers as they were spelt. Members that are
 * undefined are left out. Digests and ids are made of these bytes, so that they may never change.
 */
export function canonicalJson(value: unknown): Buffer {
  return Buffer.from(canonicalText(value));
}

function canonicalText(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalText).join(",")}]`;
  if (!isJsonObject(value)) return numberText(value) ?? JSON.stringify(value);
  const keys = Object.keys(value).filter((key) => value[key] !== undefined);
  return `{${keys
    .sort()
    .map((key) => `${JSON.stringify(key)}:${canonicalText(value[key])}`)
    .join(",")}}`;
}

function isDeeper(value: unknown, levels: number): boolean {
  if (!Array.isArray(value) && !isJsonObject(value)) return false;
  return levels === 0 || Object.values(value).some((inner) => isDeeper(inner, levels - 1));
}
