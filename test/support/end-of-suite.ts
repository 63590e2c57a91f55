/** Takes what is to be undone after the suite around; the last is undone first. Call it in the body of a `describe`. */
export function endOfSuite(): (undo: () => Promise<unknown>) => void {
  const undos: (() => Promise<unknown>)[] = [];
  after(async () => {
    for (const undo of undos.toReversed()) await undo();
  });
  return (undo) => {
    undos.push(undo);
  };
}
