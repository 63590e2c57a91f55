/** What the exit code of every command means. */
export const exitCodes = {
  done: 0,
  failed: 1,
  usage: 2,
  configuration: 3,
  interrupted: 130,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** Ends a command with a code and a message that says what to do; an empty message means that all has been said. */
export class CommandError extends Error {
  override readonly name = "CommandError";
  readonly code: ExitCode;

  constructor(code: Exclude<keyof typeof exitCodes, "done">, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = exitCodes[code];
  }
}

/** The message of an error with those of its causes, each said once. */
export function reason(error: unknown): string {
  const messages: string[] = [];
  for (let current = error; current !== undefined; current = current instanceof Error ? current.cause : undefined) {
    const message = messageOf(current);
    if (!messages.some((said) => said.includes(message))) messages.push(message);
  }
  return messages.join(": ");
}

/** The same, behind the name of what failed unless it begins with that. */
export function reasonOf(subject: string, error: unknown): string {
  const text = reason(error);
  return text.startsWith(subject) ? text : `${subject}: ${text}`;
}

function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === "") return error.errors.map(messageOf).join(", ");
  return error instanceof Error ? error.message : String(error);
}
