import type { ServerResponse } from "node:http";
import { ClientGone } from "./hang-up.ts";
import { milliseconds } from "./timeout.ts";

/**
 * Waits until the socket has taken something, which `begin` hands to the response and tells the end of. Node's own socket
 * timeout notices a client that takes a little of it, and destroys the socket of one that takes nothing for `idleTimeout`
 * seconds. Rejects with `ClientGone` when the client leaves or stalls.
 */
export async function taken(
  response: ServerResponse,
  idleTimeout: number,
  begin: (done: () => void) => void,
): Promise<void> {
  response.socket?.setTimeout(milliseconds(idleTimeout));
  await new Promise<void>((resolve, reject) => {
    const gone = (): void => {
      reject(new ClientGone());
    };
    if (response.closed) {
      gone();
      return;
    }
    response.once("close", gone);
    begin(() => {
      response.off("close", gone);
      // After "finish" Node sets it anew for the next request.
      if (!response.writableFinished) response.socket?.setTimeout(0);
      resolve();
    });
  });
}
