/** Seconds as the milliseconds of a timer: Node's timers fire at once when given more than 2^31 - 1. */
export function milliseconds(seconds: number): number {
  return Math.min(seconds * 1000, 2 ** 31 - 1);
}
