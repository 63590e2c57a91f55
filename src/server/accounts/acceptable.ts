import { looksLikeKey } from "./api-key.ts";

/** What bcrypt sees of a password, in bytes: what comes after is not looked at. */
const mostBytes = 72;
const leastCharacters = 8;

/** Why no account can be called so; undefined when one can. Accounts that a file has already may have other names. */
export function nameFault(name: string): string | undefined {
  if (!/^[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}$/.test(name)) {
    return "a name has at most 64 letters, digits, dots, dashes, underscores, @ and +, and begins with a letter or digit";
  }
  return name === "anonymous" ? "anonymous is what rules call those who have not logged in" : undefined;
}

/** Why this can't be somebody's password; undefined when it can. */
export function passwordFault(password: string): string | undefined {
  if (password.length < leastCharacters) return `a password has at least ${leastCharacters} characters`;
  const bytes = Buffer.byteLength(password);
  if (bytes > mostBytes) {
    return `a password has at most ${mostBytes} bytes, and this one has ${bytes}: bcrypt would not look at the rest`;
  }
  if (/\p{Cc}/u.test(password)) return "a password has no line breaks and other control characters";
  return looksLikeKey(password) ? "this has the form of an API key" : undefined;
}
