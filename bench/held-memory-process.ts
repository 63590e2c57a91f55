const step = 256 * 1024 * 1024;
const held: Buffer[] = [];

process.on("message", (bytes) => {
  hold(Number(bytes));
});
process.on("disconnect", () => {
  process.exit();
});

/** Writes to every page, as only then it is ours; tells after each step how much that is. */
function hold(bytes: number): void {
  const size = held.length * step;
  process.send?.(size);
  if (size >= bytes) return;
  held.push(Buffer.allocUnsafeSlow(step).fill(1));
  setImmediate(hold, bytes);
}
