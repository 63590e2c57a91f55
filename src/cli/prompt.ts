import inquirer from "inquirer";
import { CommandError } from "./exit.ts";
import type { Terminal } from "./terminal.ts";

/** One answer that a question may have; `hint` is shown while it is the chosen one. */
export interface Choice {
  readonly value: string;
  readonly name?: string;
  readonly hint?: string;
}

/** Answers true, or why the text will not do. */
export type Validate = (text: string) => true | string;

export async function text(
  terminal: Terminal,
  message: string,
  initial = "",
  validate: Validate = () => true,
): Promise<string> {
  const question = { type: "input", name: "answer", message, default: initial, validate } as const;
  return (await answered(terminal, prompts(terminal)<{ answer: string }>([question]))).trim();
}

/** Asks without showing what is typed. */
export async function secret(terminal: Terminal, message: string): Promise<string> {
  const question = { type: "password", name: "answer", message, mask: "*" } as const;
  return await answered(terminal, prompts(terminal)<{ answer: string }>([question]));
}

export async function confirm(terminal: Terminal, message: string, initial: boolean): Promise<boolean> {
  const question = { type: "confirm", name: "answer", message, default: initial } as const;
  return await answered(terminal, prompts(terminal)<{ answer: boolean }>([question]));
}

export async function select(
  terminal: Terminal,
  message: string,
  choices: readonly Choice[],
  initial: string,
): Promise<string> {
  const shown = choices.map(({ value, name = value, hint }) => ({ value, name, ...(hint && { description: hint }) }));
  const question = { type: "select", name: "answer", message, default: initial, choices: shown } as const;
  return await answered(terminal, prompts(terminal)<{ answer: string }>([question]));
}

function prompts({ io }: Terminal): ReturnType<typeof inquirer.createPromptModule> {
  return inquirer.createPromptModule({ input: io.stdin, output: io.stderr });
}

async function answered<T>(terminal: Terminal, asked: Promise<{ answer: T }>): Promise<T> {
  try {
    return (await asked).answer;
  } catch (error) {
    if (error instanceof Error && error.name === "ExitPromptError") throw new CommandError("interrupted", "");
    throw error;
  } finally {
    terminal.io.stdin.pause();
  }
}
