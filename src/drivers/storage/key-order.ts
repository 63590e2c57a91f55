/** Orders keys as the bytes of their UTF-8, which is not how JavaScript orders text beyond U+FFFF. */
export function compareKeys(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let index = 0; index < length; index++) {
    const left = a.charCodeAt(index);
    const right = b.charCodeAt(index);
    if (left !== right) return rank(left) - rank(right);
  }
  return a.length - b.length;
}

/** Whether `key` lies below `prefix`, counted in whole components. Everything lies below `""`. */
export function isBelow(key: string, prefix: string): boolean {
  return prefix === "" || (key.startsWith(prefix) && key.charAt(prefix.length) === "/");
}

/** Surrogates stand for characters beyond U+FFFF: they come after all that one unit can hold. */
function rank(unit: number): number {
  if (unit >= 0xe000) return unit - 0x800;
  return unit >= 0xd800 ? unit + 0x2000 : unit;
}
