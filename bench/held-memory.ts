import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { freemem } from "node:os";
import { fileURLToPath } from "node:url";

/**
 * Memory that nobody else gets, so that the system gives to files and programs what it has just taken from others, as on a
 * machine that has been in use for long. A process of its own has it: one that large is slow to start others.
 */
export class HeldMemory {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  /** Holds all available memory but `free` bytes; takes up to 3 s per GB. `progress` hears of the bytes held so far. */
  static async allBut(free: number, progress: (bytes: number) => void = () => undefined): Promise<HeldMemory> {
    const child = fork(fileURLToPath(new URL("./held-memory-process.ts", import.meta.url)), {
      execArgv: ["--import=tsx"],
    });
    const held = new HeldMemory(child);
    const ended = once(child, "exit").then(() => {
      throw new Error("memory could not be held; leave more of it free");
    });
    const full = new Promise<void>((resolve) => {
      const wanted = Math.max(0, freemem() - free);
      child.on("message", (bytes) => {
        progress(Number(bytes));
        if (Number(bytes) >= wanted) resolve();
      });
      child.send(wanted);
    });
    await Promise.race([full, ended]);
    ended.catch(() => undefined);
    return held;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  release(): void {
    this.#child.kill("SIGKILL");
  }
}
