import type { ClientRequest } from "node:http";
import type { Socket } from "node:net";

/**
 * Calls `fail` when nothing comes or goes for `idle` milliseconds while that is the server's fault: not while the reader of
 * the answer takes its time.
 */
export function watchSilence(request: ClientRequest, idle: number, fail: () => void): void {
  request.setTimeout(idle);
  request.once("socket", (socket: Socket) => {
    // The request itself tells of the first time only.
    const heed = (): void => {
      if (socket.isPaused()) socket.setTimeout(idle);
      else fail();
    };
    // Its time begins when the reader goes on, not when it was last looked at.
    const begin = (): void => {
      socket.setTimeout(idle);
    };
    socket.on("timeout", heed).on("resume", begin);
    request.once("close", () => socket.off("timeout", heed).off("resume", begin));
  });
}
