import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { join } from "node:path";
import { until } from "./program.ts";

const run = promisify(execFile);

/** A real terminal with a program in it, by tmux; its server is its own and ends with `close`. */
export class TerminalSession {
  readonly #socket: string;

  private constructor(socket: string) {
    this.#socket = socket;
  }

  /** Starts a line of shell in a terminal of 100 by 40 characters. When it ends, `[exit N]` is shown. */
  static async start(folder: string, line: string): Promise<TerminalSession> {
    const session = new TerminalSession(join(folder, `tmux-${Date.now()}`));
    // The trap keeps the shell alive when Ctrl-C reaches all that runs in the terminal.
    const shell = `trap : INT; ${line}; echo "[exit $?]"; cat`;
    await session.#tmux(
      "-f",
      "/dev/null",
      "new-session",
      "-d",
      "-x",
      "100",
      "-y",
      "40",
      "-c",
      folder,
      "sh",
      "-c",
      shell,
    );
    return session;
  }

  /** What the terminal shows now. */
  async screen(): Promise<string> {
    return (await this.#tmux("capture-pane", "-p", "-J")).trimEnd();
  }

  /** Waits until the terminal shows `text`; answers the whole screen. */
  async shows(text: string): Promise<string> {
    let screen = "";
    try {
      return await until(`"${text}" on the terminal`, async () => {
        screen = await this.screen();
        return screen.includes(text) ? screen : undefined;
      });
    } catch (error) {
      throw new Error(`the terminal does not show "${text}" but:\n${screen}`, { cause: error });
    }
  }

  /** Presses keys, by tmux's names: `Enter`, `C-c`, `Down`; anything else is typed. */
  async press(...keys: string[]): Promise<void> {
    await this.#tmux("send-keys", ...keys);
  }

  async close(): Promise<void> {
    await this.#tmux("kill-server");
  }

  async #tmux(...args: string[]): Promise<string> {
    return (await run("tmux", ["-S", this.#socket, ...args])).stdout;
  }
}
