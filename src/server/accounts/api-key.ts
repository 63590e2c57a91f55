import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { crc32 } from "node:zlib";

/*
 * An API key is `rctl_`, 10 characters that name it, 43 that are its secret, and 6 of a checksum over all before: scanners
 * find it in files by its form, and what is no key is refused without looking one up.
 */

const prefix = "rctl_";
const idLength = 10;
const secretLength = 43;
const checkLength = 6;
const form = new RegExp(`^${prefix}[0-9A-Za-z]{${idLength + secretLength + checkLength}}$`);
const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/** A new key: what names it and the whole, which is shown to its bearer and never stored. */
export function newKey(): { readonly id: string; readonly key: string } {
  const id = numeral(randomBytes(8), idLength);
  const text = prefix + id + numeral(randomBytes(32), secretLength);
  return { id, key: text + checksum(text) };
}

/** What names the key; undefined of anything that is none. */
export function keyId(text: string): string | undefined {
  if (!form.test(text) || checksum(text.slice(0, -checkLength)) !== text.slice(-checkLength)) return undefined;
  return text.slice(prefix.length, prefix.length + idLength);
}

/** Whether a text looks like a key, right or wrong: no password may. */
export function looksLikeKey(text: string): boolean {
  return form.test(text);
}

/**
 * What is stored of a key. SHA-256 is right for it, as it would not be for a password: nobody guesses 256 random bits,
 * however quickly they can be tried.
 */
export function keyHash(key: string): string {
  return createHash("sha256").update(key).digest("hex");
}

/** Whether it is the key of this hash. */
export function isKey(key: string, hash: string): boolean {
  const [shown, stored] = [Buffer.from(keyHash(key)), Buffer.from(hash)];
  return shown.length === stored.length && timingSafeEqual(shown, stored);
}

function checksum(text: string): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(crc32(text));
  return numeral(bytes, checkLength);
}

/** The number that the bytes are, in letters and digits. */
function numeral(bytes: Uint8Array, length: number): string {
  let number = bytes.reduce((sum, byte) => sum * 256n + BigInt(byte), 0n);
  let text = "";
  for (let i = 0; i < length; i++) {
    text = (digits[Number(number % 62n)] ?? "") + text;
    number /= 62n;
  }
  return text;
}
