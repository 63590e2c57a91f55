/** One thing that is wrong with the configuration, or (as a warning) that may be. */
export interface Problem {
  /** The configuration file, as it was found. */
  readonly file: string;
  /** Counts from 1; absent where nothing is written that could be pointed at. */
  readonly line?: number;
  /** Absent when the whole file is meant. */
  readonly flavor?: string;
  /** The option with its sections, such as `http.port`. */
  readonly key?: string;
  /** What is wrong, without the values of secrets. */
  readonly problem: string;
  /** What to do, as a whole sentence. */
  readonly remedy: string;
}

/** The configuration can't be used: everything that is wrong with it at once. Its message is all of it as text. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super(problems.map(renderProblem).join("\n"));
    this.problems = problems;
  }
}

/** A problem or warning on two lines: where and what, then what to do. */
export function renderProblem({ file, line, flavor, key, problem, remedy }: Problem): string {
  const where = [
    line === undefined ? file : `${file}:${line}`,
    ...(flavor === undefined ? [] : [`flavor ${flavor}`]),
    ...(key === undefined ? [] : [key]),
  ];
  return `${where.join(": ")}: ${problem}\n  ${remedy}`;
}
