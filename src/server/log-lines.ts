/** Where lines go. */
export interface Lines {
  write(text: string): unknown;
}

/** Lines that are kept until the turn of the event loop is over, in characters; more are passed on at once. */
const most = 256 * 1024;

/**
 * Passes on all lines of a turn of the event loop together when it ends: with many requests at once, writing each by itself
 * takes longer than making it. Lines of errors are not kept waiting, nor those before them. A process that is killed loses
 * the lines of the turn that it was in.
 */
export function gathered(destination: Lines): Lines {
  let waiting: string[] = [];
  let length = 0;
  const flush = (): void => {
    const text = waiting.join("");
    waiting = [];
    length = 0;
    if (text !== "") destination.write(text);
  };
  return {
    write(line) {
      if (waiting.push(line) === 1) setImmediate(flush);
      length += line.length;
      if (length > most || isUrgent(line)) flush();
    },
  };
}

/** Each line begins with its level. */
function isUrgent(line: string): boolean {
  return !/^\{"level":"(?:debug|info|warn)"/.test(line);
}
