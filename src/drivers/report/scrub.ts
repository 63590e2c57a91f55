const removed = "[removed]";

const patterns: readonly (readonly [RegExp, string])[] = [
  // Private keys, also ones that were cut off.
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g, removed],
  // user:password@ in URLs; the password may hold any sign, but host:port/ is no password.
  [/(?<=:\/\/)(?:[^\s/?#"'<>]{0,300}|[^\s:/?#"'<>@]{0,80}:(?!\d{1,5}[/?#])[^\s"'<>]{0,300})@/g, `${removed}@`],
  // Query strings, of URLs and of bare paths: signatures, tokens, what somebody searched for.
  [/(?<=\/[^\s?#"'<>]{0,500})\?[^\s"'<>]+/g, `?${removed}`],
  // Headers that carry credentials, to the end of their line or of the quoted value.
  [
    /((?:proxy-)?authorization|(?:set-)?cookie|x-signature|x-docker-token)(["']?\s*[:=]\s*)(?:"[^"\n]*"?|'[^'\n]*'?|[^\n]*)/gi,
    `$1$2${removed}`,
  ],
  // Credentials by their scheme: what follows has something that plain words have not.
  [/\b([Bb]asic|[Bb]earer|[Tt]oken|[Dd]igest)\s+(?=[^\s,;]*[A-Z0-9+/=_])[^\s,;]{4,}/g, `$1 ${removed}`],
  // Values by their name.
  [
    /((?:password|passwd|passphrase|pwd|secret|token|credential|signature|(?:api|access|private)[_-]?key)[\w-]{0,20}["']?\s{0,9}[:=]\s{0,9})(?!\[removed\])(?:"[^"\n]*"?|'[^'\n]*'?|[^\s,;&}\])]+)/gi,
    `$1${removed}`,
  ],
];

/**
 * At most `length` characters of `text`, without what looks like a secret: user and password of URLs, query strings,
 * credentials in headers, values that are called password, token or the like, private keys. Rather too much than too
 * little.
 */
export function scrubbed(text: string, length: number): string {
  // Cut twice: the first cut bounds the time, and what it cuts in half, so that no pattern knows it, the second removes.
  const bounded = text.slice(0, 2 * length + 200);
  return shortened(
    patterns.reduce((rest, [pattern, by]) => rest.replace(pattern, by), bounded),
    length,
  );
}

/** The first line of `text`, scrubbed, without control characters, at most `length` characters long. */
export function scrubbedLine(text: string, length: number): string {
  const [first = ""] = text.trimStart().split(/[\r\n\u2028\u2029]/, 1);
  return scrubbed(first, length).replace(/\p{Cc}/gu, " ");
}

function shortened(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1).replace(/[\ud800-\udbff]$/, "")}…`;
}
