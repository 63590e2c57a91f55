import type { Scalar } from "./yaml-tree.ts";

/** Environment variables; pass `process.env` or whatever a test wants to be true. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** A scalar once `_env:` is resolved. */
export interface ResolvedScalar extends Scalar {
  /** The variable that the text came from. */
  readonly variable?: string;
  /** The variable that could have said something else: the text is the default written after its name. */
  readonly unset?: string;
}

/** The variable that `_env:NAME[:default]` names, or undefined for any other text. */
export function variableIn(text: string): string | undefined {
  return text.startsWith("_env:") ? text.split(":", 2)[1] : undefined;
}

/**
 * What a scalar says in this environment. Undefined, that is absent, when it names a variable that isn't set and gives
 * no default. What the variable holds is not looked at for `_env:` again.
 */
export function resolveScalar(scalar: Scalar, env: Environment): ResolvedScalar | undefined {
  const name = variableIn(scalar.text);
  if (name === undefined) return scalar;
  const value = variable(env, name);
  if (value !== undefined) return { ...scalar, plain: false, text: value, variable: name };
  const rest = scalar.text.slice("_env:".length + name.length);
  return rest === "" ? undefined : { ...scalar, plain: false, text: rest.slice(1), unset: name };
}

/** The value of an environment variable; nothing that objects inherit is one. */
export function variable(env: Environment, name: string): string | undefined {
  return Object.hasOwn(env, name) ? env[name] : undefined;
}
