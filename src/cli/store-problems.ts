import type { Terminal } from "./terminal.ts";
import type { StoreProblem } from "../server/index.ts";

/** The problems of one kind that are shown; `--json` has them all. */
const mostShown = 20;

/** Prints what is wrong with a store, in the order given. */
export async function showProblems(terminal: Terminal, problems: readonly StoreProblem[]): Promise<void> {
  const { stdout } = terminal.io;
  const colour = { broken: "red", warning: "yellow", note: "dim" } as const;
  const shown = new Map<string, number>();
  for (const problem of problems) {
    const { severity, kind, repository, tag, message } = problem;
    const before = shown.get(kind) ?? 0;
    shown.set(kind, before + 1);
    if (before >= mostShown) continue;
    const place = repository === undefined ? "" : `${repository}${tag === undefined ? "" : `:${tag}`}: `;
    await terminal.print(`${terminal.styled(stdout, colour[severity], severity.padEnd(7))}  ${place}${message}`);
  }
  for (const [kind, found] of shown) {
    if (found > mostShown)
      await terminal.print(`… and ${found - mostShown} more of the kind ${kind}: --json has them all`);
  }
}

const order = ["broken", "warning", "note"];

/** What is broken first; else by repository, tag and image, whatever was found first. */
export function sortedProblems(problems: readonly StoreProblem[]): readonly StoreProblem[] {
  return problems.toSorted(byPlace);
}

function byPlace(one: StoreProblem, other: StoreProblem): number {
  const key = ({ severity, kind, repository = "", tag = "", image = "", digest = "" }: StoreProblem) =>
    [order.indexOf(severity), kind, repository, tag, image, digest].join("\n");
  const [a, b] = [key(one), key(other)];
  return a < b ? -1 : a > b ? 1 : 0;
}
