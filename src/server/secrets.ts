const secretNames = /authorization|cookie|token|signature|passw|secret|private_?key|api_?key|access_?key/i;
const mask = "***";

/** Text without the credentials that URLs, queries and headers in it carry. */
export function maskedText(text: string): string {
  return text
    .replace(/([a-z][a-z0-9+.-]{0,20}:\/\/)[^\s/@"']*@/gi, `$1${mask}@`)
    .replace(/([?&](?:[\w-]*(?:signature|token|passw(?:or)?d|secret|credential)|sig)=)[^&\s"']+/gi, `$1${mask}`)
    .replace(/((?:authorization|x-docker-token|x-signature|cookie)["']?\s*[:=]\s*["']?)[^\r\n"']+/gi, `$1${mask}`);
}

/**
 * Facts fit for a log: values whose name tells of a secret are masked, texts as by `maskedText`, errors become plain
 * objects with their causes. What is nested deeper than six levels is left out.
 */
export function maskedFacts(facts: object): Record<string, unknown> {
  return maskedEntries(facts, 6);
}

function maskedEntries(object: object, depth: number): Record<string, unknown> {
  const entries = Object.entries(object instanceof Error ? plainError(object) : object);
  return Object.fromEntries(
    entries.map(([name, value]) => [name, secretNames.test(name) ? mask : maskedValue(value, depth)]),
  );
}

function maskedValue(value: unknown, depth: number): unknown {
  if (typeof value === "string") return maskedText(value);
  if (typeof value === "bigint") return String(value);
  if (typeof value !== "object" || value === null) return value;
  if (depth === 0) return "…";
  if (value instanceof URL) return maskedText(value.href);
  if (value instanceof Date) return value;
  if (ArrayBuffer.isView(value)) return `<${value.byteLength} bytes>`;
  if (Array.isArray(value)) return value.map((item) => maskedValue(item, depth - 1));
  return maskedEntries(value, depth - 1);
}

function plainError(error: Error): object {
  const { name, message, stack, cause } = error;
  const own = Object.fromEntries(Object.entries(error));
  return { ...own, type: name, message, stack, ...(cause === undefined ? {} : { cause }) };
}
