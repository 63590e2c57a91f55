import { Buffer } from "node:buffer";

/** Where lines go. */
export interface Lines {
  write(text: string): unknown;
}

/** A pipe takes so much at once, in bytes; of more the parts may be mixed with what other workers write. */
const most = 4096;

/**
 * Passes on the lines of a turn of the event loop together when it ends: with many requests at once, writing each by itself
 * takes longer than making it. Lines of errors are not kept waiting, nor those before them. A process that is killed loses
 * the lines of the turn that it was in.
 */
export function gathered(destination: Lines): Lines {
  let waiting = "";
  let size = 0;
  let isScheduled = false;
  const pass = (): void => {
    if (waiting !== "") destination.write(waiting);
    waiting = "";
    size = 0;
  };
  const endTurn = (): void => {
    isScheduled = false;
    pass();
  };
  return {
    write(line) {
      const added = Buffer.byteLength(line);
      if (size + added > most) pass();
      waiting += line;
      size += added;
      if (isUrgent(line)) {
        pass();
      } else if (!isScheduled) {
        isScheduled = true;
        setImmediate(endTurn);
      }
    },
  };
}

/** Each line begins with its level; lines for people do not, and are not kept waiting. */
function isUrgent(line: string): boolean {
  return !/^\{"level":"(?:debug|info|warn)"/.test(line);
}
