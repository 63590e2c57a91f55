import { constants, platform, setPriority } from "node:os";
import { parentPort } from "node:worker_threads";
import { hashed, isRight, type PasswordCheck } from "./password-hash.ts";

/** What the thread is asked, one thing at a time: to check a password, or to hash a new one. */
export type HashTask = ({ readonly kind: "check" } & PasswordCheck) | HashNew;

interface HashNew {
  readonly kind: "hash";
  readonly password: string;
  readonly cost: number;
}

// On Linux it is the thread's own, elsewhere the whole server's: pulls and pushes go before logins.
if (platform() === "linux") setPriority(constants.priority.PRIORITY_BELOW_NORMAL);

parentPort?.on("message", (task: HashTask) => {
  void answer(task);
});

async function answer(task: HashTask): Promise<void> {
  parentPort?.postMessage(task.kind === "check" ? isRight(task) : await hashed(task.password, task.cost));
}
