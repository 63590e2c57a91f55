const secretNames = /authorization|cookie|token|signature|passw|secret|private_?key|api_?key|access_?key/i;
const mask = "***";

const userInfo = /([a-z][a-z0-9+.-]{0,20}:\/\/)[^\s/@"']*@/gi;
const parameter = /([?&](?:[\w-]*(?:signature|token|passw(?:or)?d|secret|credential)|sig)=)[^&\s"']+/gi;
const header = /((?:authorization|x-docker-token|x-signature|cookie)["']?\s*[:=]\s*["']?)[^\r\n"']+/gi;
const headerName = /authorization|x-docker-token|x-signature|cookie/i;

/**
 * Text without the credentials that URLs, queries and headers in it carry. Every line of the log has several texts: most
 * are seen at a glance to have none.
 */
export function maskedText(text: string): string {
  let masked = text;
  if (masked.includes("://")) masked = masked.replace(userInfo, `$1${mask}@`);
  if (masked.includes("=")) masked = masked.replace(parameter, `$1${mask}`);
  if (/[:=]/.test(masked) && headerName.test(masked)) masked = masked.replace(header, `$1${mask}`);
  return masked;
}

/**
 * Facts fit for a log: values whose name tells of a secret are masked, texts as by `maskedText`, errors become plain
 * objects with their causes. What is nested deeper than six levels is left out.
 */
export function maskedFacts(facts: object): Record<string, unknown> {
  return maskedEntries(facts, 6);
}

function maskedEntries(object: object, depth: number): Record<string, unknown> {
  const masked: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(object instanceof Error ? plainError(object) : object)) {
    // It would not become a fact, but what the others inherit from.
    if (name !== "__proto__") masked[name] = isSecretName(name) ? mask : maskedValue(value, depth);
  }
  return masked;
}

/** The names of facts are few, and each is looked at for every line. */
const knownNames = new Map<string, boolean>();
const mostKnownNames = 1000;

function isSecretName(name: string): boolean {
  const known = knownNames.get(name);
  if (known !== undefined) return known;
  const isSecret = secretNames.test(name);
  if (knownNames.size < mostKnownNames) knownNames.set(name, isSecret);
  return isSecret;
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
