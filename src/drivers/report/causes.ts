/** `error` and what caused it, outermost first; at most `depth`. Of several errors at once the first counts. */
export function causesOf(error: Error, depth = 6): Error[] {
  const chain: Error[] = [];
  let next: unknown = error;
  while (next !== undefined && chain.length < depth) {
    const current: Error = next instanceof Error ? next : new NotAnError(next);
    if (chain.includes(current)) break;
    chain.push(current);
    next = current.cause ?? (current instanceof AggregateError ? current.errors[0] : undefined);
  }
  return chain;
}

/** What was thrown though it is no error, as one without a stack. */
class NotAnError extends Error {
  override readonly name = "Thrown";

  constructor(thrown: unknown) {
    super(typeof thrown === "string" ? thrown : typeof thrown);
    this.stack = `${this.name}: ${this.message}`;
  }
}
