import { isIP } from "node:net";
import { z } from "zod";

/** A text that may not be empty; an empty text in the file or the environment counts as absent. */
export const text = z.string().min(1);

/** Texts; a single text is a list too, its parts separated by commas or spaces. */
export const texts = z.array(text);

/** An `http` or `https` URL, without the slash at its end. */
export const webUrl = z
  .url({ protocol: /^https?$/, hostname: /./, error: "is no http:// or https:// URL" })
  .transform((url) => url.replace(/\/+$/, ""));

/** A TCP port that something else listens on. */
export const port = z.int().min(1).max(65535);

/** A span in whole seconds. */
export const seconds = z
  .int()
  .min(0)
  .max(10 * 365 * 86_400);

/** An address or a network such as `10.0.0.0/8`. */
export const network = z.string().refine(isNetwork, "is no IP address or network such as 10.0.0.0/8");

/** Bytes, as a number or as a text such as `512K`, `4M`, `10G` (powers of 1024). */
export const size = z
  .union([z.int().min(0), z.string().regex(/^\d{1,12}\s*[kmgt]?(i?b)?$/i)], {
    error: "is no size such as 4194304, 4M or 10G",
  })
  .transform(bytesOf);

/** The path of a file; `~/` at its start is the home folder of whoever runs the program. */
export const path = text.meta({ format: "path" });

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
