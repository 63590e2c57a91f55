import { isIP } from "node:net";
import { z } from "zod";

/** What kinds of values are called, in messages and in the reference, where their type alone says too little. */
export const kinds = z.registry<{ readonly words: string }>();

/** Gives `schema` a name, such as "a size like 4M". */
export function kind<T extends z.ZodType>(schema: T, words: string): T {
  kinds.add(schema, { words });
  return schema;
}

/** A text that may not be empty; an empty text in the file or the environment counts as absent. */
export const text = z.string().min(1);

/** Texts; a single text is a list too, its parts separated by commas or spaces. */
export const texts = kind(z.array(text), "a list such as [one, two]");

/** An `http` or `https` URL, without the slash at its end. */
export const webUrl = kind(
  z.url({ protocol: /^https?$/, hostname: /./ }).transform((url) => url.replace(/\/+$/, "")),
  "a URL such as https://registry.example.com",
);

/** A TCP port that something else listens on. */
export const port = z.int().min(1).max(65535);

/** A span in whole seconds; ten years at most. */
export const seconds = kind(z.int().min(0).max(315_360_000), "a number of seconds");

/** An address, a network such as `10.0.0.0/8`, or `unix` for whoever is connected through a Unix socket. */
export const network = kind(
  z.string().refine((value) => value === "unix" || isNetwork(value)),
  "an IP address, a network such as 10.0.0.0/8, or unix",
);

/** Bytes, as a number or as a text such as `512K`, `4M`, `10G` (powers of 1024). */
export const size = kind(
  z.union([z.int().min(0), z.string().regex(/^\d{1,12}\s*[kmgt]?(i?b)?$/i)]).transform(bytesOf),
  "a size such as 4194304, 4M or 10G",
);

/** The path of a file; `~/` at its start is the home folder of whoever runs the program. */
export const path = kind(text.meta({ format: "path" }), "a path");

const units = ["", "k", "m", "g", "t"];

function bytesOf(value: number | string): number {
  if (typeof value === "number") return value;
  const unit = /[kmgt]/i.exec(value)?.[0].toLowerCase() ?? "";
  return Number.parseInt(value, 10) * 1024 ** units.indexOf(unit);
}

function isNetwork(value: string): boolean {
  const [address = "", prefix, ...rest] = value.split("/");
  const family = isIP(address);
  if (family === 0 || rest.length > 0) return false;
  return prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= (family === 4 ? 32 : 128));
}
