/** Whether an `If-None-Match` header names `etag`, as sent: quoted. Weak tags count (RFC 9110, 13.1.2). */
export function matchesEtag(header: string, etag: string): boolean {
  return header.split(",").some((text) => {
    const tag = text.trim();
    return tag === "*" || tag === etag || tag === `W/${etag}`;
  });
}
