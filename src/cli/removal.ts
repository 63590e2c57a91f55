import { CommandError } from "./exit.ts";
import type { Terminal } from "./terminal.ts";

/** Fails with wrong usage where nobody has said `--yes` and nobody can be asked. */
export function assertAskable({ interactive }: Terminal, yes: true | undefined, what: string): void {
  if (!yes && !interactive) throw new CommandError("usage", `nobody can be asked here: --yes removes ${what}`);
}

/** Asks whether something is to be removed, unless `--yes` has said so. Fails when it is not. */
export async function confirmRemoval(
  terminal: Terminal,
  yes: true | undefined,
  what: string,
  place: string,
): Promise<void> {
  if (yes) return;
  const { confirm } = await import("./prompt.ts");
  if (await confirm(terminal, `Remove ${what} from ${place}?`, false)) return;
  throw new CommandError("failed", "nothing was removed");
}
