import { isObject } from "./documents.ts";

/**
 * JSON as Python's `json.dumps(value, sort_keys=True)` writes it: `", "` and `": "` between, keys sorted, everything
 * beyond ASCII escaped. V1 clients and old stores hold documents in this form, and some compare bytes.
 */
export function pythonJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(pythonJson).join(", ")}]`;
  if (!isObject(value)) return scalar(value);
  const keys = Object.keys(value).filter((key) => value[key] !== undefined);
  const members = keys.sort().map((key) => `${scalar(key)}: ${pythonJson(value[key])}`);
  return `{${members.join(", ")}}`;
}

function scalar(value: unknown): string {
  return JSON.stringify(value).replace(/[\u007f-\uffff]/g, escaped);
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
