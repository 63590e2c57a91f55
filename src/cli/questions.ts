import { CommandError } from "./exit.ts";
import type { Choice } from "./prompt.ts";
import type { Terminal } from "./terminal.ts";

/** What has been answered so far, by the names of the questions. Only what was asked, or had a flag, is there. */
export type Answers = ReadonlyMap<string, string | boolean>;

interface Asked {
  readonly name: string;
  /** The flag that answers it, as it is typed. */
  readonly flag: string;
  readonly message: string;
  /** Whether the answers before make sense of it; a flag makes any question count. */
  readonly when?: (answers: Answers) => boolean;
}

/** One question of a wizard. `text` may be answered with nothing when its `validate` lets that pass. */
export type Question =
  | (Asked & { readonly kind: "confirm"; readonly initial: (answers: Answers) => boolean })
  | (Asked & {
      readonly kind: "select";
      readonly initial: (answers: Answers) => string;
      readonly choices: readonly Choice[];
    })
  | (Asked & {
      readonly kind: "text";
      readonly initial: (answers: Answers) => string;
      readonly validate?: (text: string) => true | string;
    })
  | (Asked & { readonly kind: "secret" });

/** How questions are answered that have no flag. */
export interface Asking {
  readonly terminal: Terminal;
  readonly flags: Answers;
  /** Take the defaults, ask nothing. */
  readonly yes: boolean;
}

/**
 * Answers the questions in their order: by flag, with `yes` by default, else by asking. Without a terminal to ask on,
 * what is missing is wrong usage that names all the flags; so is a flag whose value will not do.
 */
export async function answer(questions: readonly Question[], { terminal, flags, yes }: Asking): Promise<Answers> {
  const answers = new Map<string, string | boolean>();
  const missing: string[] = [];
  for (const question of questions) {
    const flag = flags.get(question.name);
    if (flag !== undefined) {
      answers.set(question.name, acceptable(question, flag));
    } else if (question.when?.(answers) ?? true) {
      const isAsked = !yes && terminal.interactive;
      const answer = isAsked ? await ask(question, answers, terminal) : byDefault(question, answers);
      if (!isAsked && (!yes || !isAcceptable(question, answer))) missing.push(question.flag);
      answers.set(question.name, answer);
    }
  }
  if (missing.length > 0 && yes) throw new CommandError("usage", `there is no default for ${missing.join(", ")}`);
  if (missing.length > 0) {
    throw new CommandError(
      "usage",
      `there is no terminal to ask on; give ${missing.join(", ")}, or --yes for the defaults`,
    );
  }
  return answers;
}

function acceptable(question: Question, value: string | boolean): string | boolean {
  const verdict = question.kind === "text" ? (question.validate?.(String(value)) ?? true) : true;
  if (verdict === true) return value;
  throw new CommandError("usage", `${question.flag} '${String(value)}': ${verdict}`);
}

function isAcceptable(question: Question, value: string | boolean): boolean {
  return question.kind !== "text" || (question.validate?.(String(value)) ?? true) === true;
}

function byDefault(question: Question, answers: Answers): string | boolean {
  return question.kind === "secret" ? "" : question.initial(answers);
}

async function ask(question: Question, answers: Answers, terminal: Terminal): Promise<string | boolean> {
  const { confirm, secret, select, text } = await import("./prompt.ts");
  const { message } = question;
  switch (question.kind) {
    case "confirm":
      return await confirm(terminal, message, question.initial(answers));
    case "select":
      return await select(terminal, message, question.choices, question.initial(answers));
    case "secret":
      return await secret(terminal, message);
    case "text":
      return await text(terminal, message, question.initial(answers), question.validate);
  }
}
