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
    socket.on("timeout", heed);
    request.once("close", () => socket.off("timeout", heed));
  });
}
