import { isJsonObject, numberText, type JsonObject } from "./exact-json.ts";

/** Makes a value what clients read at its place, or undefined when it can't be that. */
type Shape = (value: unknown) => unknown;

const largestInt64 = 2n ** 63n - 1n;

/** A text. */
export const text: Shape = (value) => (typeof value === "string" ? value : undefined);

/** Docker 1.8 and later took one word for a list of one. */
const words: Shape = (value) => {
  if (typeof value === "string") return value === "" ? undefined : [value];
  return Array.isArray(value) && value.every((item) => typeof item === "string") ? value : undefined;
};

const names: Shape = (value) =>
  isJsonObject(value) ? Object.fromEntries(Object.keys(value).map((key) => [key, {}])) : undefined;

const texts: Shape = (value) =>
  isJsonObject(value) && Object.values(value).every((item) => typeof item === "string") ? value : undefined;

const flag: Shape = (value) => (typeof value === "boolean" ? value : undefined);

const whole: Shape = (value) => {
  const digits = numberText(value) ?? "";
  if (!/^-?\d{1,19}$/.test(digits)) return undefined;
  return BigInt(digits) <= largestInt64 && BigInt(digits) >= -largestInt64 ? value : undefined;
};

/** Clients in Go look for these without regard to case, and refuse the whole image when one has another type. */
const shapes: Readonly<Record<string, Shape>> = {
  ...shaped(text, ["Hostname", "Domainname", "User", "Cpuset", "Image", "WorkingDir", "MacAddress", "StopSignal"]),
  ...shaped(words, ["PortSpecs", "Env", "Cmd", "Entrypoint", "OnBuild", "Shell", "Dns"]),
  ...shaped(names, ["ExposedPorts", "Volumes"]),
  ...shaped(texts, ["Labels"]),
  ...shaped(flag, ["AttachStdin", "AttachStdout", "AttachStderr", "Tty", "OpenStdin", "StdinOnce", "NetworkDisabled"]),
  ...shaped(flag, ["ArgsEscaped"]),
  ...shaped(whole, ["Memory", "MemorySwap", "CpuShares", "StopTimeout"]),
};

/**
 * The configuration of containers (`config`, `container_config`) as every client of V1 and V2 can read it: nulls are
 * left out, as is what has a type that would make one refuse the image. Fields that none of them knows stay.
 */
export function runConfig(value: unknown): JsonObject | undefined {
  return isJsonObject(value) ? fitted(value, shapes) : undefined;
}

/** The members of `object` that `known`, by lower-case name, has no shape for or can shape. */
export function fitted(object: JsonObject, known: Readonly<Record<string, Shape>>): JsonObject {
  const members = Object.entries(object).map(([key, value]) => {
    const shape = Object.hasOwn(known, key.toLowerCase()) ? known[key.toLowerCase()] : undefined;
    return [key, shape ? shape(value) : value] as const;
  });
  return Object.fromEntries(members.filter(([, value]) => value !== undefined && value !== null));
}

function shaped(shape: Shape, keys: readonly string[]): Record<string, Shape> {
  return Object.fromEntries(keys.map((key) => [key.toLowerCase(), shape]));
}
