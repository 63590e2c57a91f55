import type { Output } from "./terminal.ts";

/** How often a bar is drawn, in milliseconds. */
const interval = 100;

/** A bar on a terminal for long work: bytes and steps done of so many, the rate, and the time that it may still take. */
export class ProgressBar {
  readonly #output: Output;
  readonly #label: string;
  readonly #total: { readonly bytes: number; readonly tags: number };
  readonly #started = Date.now();
  #bytes = 0;
  #tags = 0;
  #drawn = 0;

  /** Draws nothing when `output` is no terminal. */
  constructor(output: Output, label: string, total: { readonly bytes: number; readonly tags: number }) {
    this.#output = output;
    this.#label = label;
    this.#total = total;
  }

  add({ bytes = 0, tags = 0 }: { readonly bytes?: number; readonly tags?: number }): void {
    this.#bytes += bytes;
    this.#tags += tags;
    const now = Date.now();
    if (this.#output.isTTY !== true || now - this.#drawn < interval) return;
    this.#drawn = now;
    this.#draw();
  }

  /** Leaves the bar as it is now, and the cursor below it. */
  end(): void {
    if (this.#drawn === 0) return;
    this.#draw();
    this.#output.write("\n");
    this.#drawn = 0;
  }

  #draw(): void {
    const columns = this.#output.columns ?? 80;
    const facts = this.#facts();
    const width = Math.min(30, columns - this.#label.length - facts.length - 5);
    const done = this.#total.bytes > 0 ? this.#bytes / this.#total.bytes : this.#tags / Math.max(1, this.#total.tags);
    const filled = Math.round(Math.min(1, done) * width);
    const bar = width < 5 ? "" : ` [${"#".repeat(filled)}${" ".repeat(width - filled)}]`;
    this.#output.write(`\r${`${this.#label}${bar} ${facts}`.padEnd(columns - 1).slice(0, columns - 1)}`);
  }

  #facts(): string {
    const tags = `${this.#tags}/${this.#total.tags} tags`;
    if (this.#total.bytes === 0) return tags;
    const seconds = Math.max(0.001, (Date.now() - this.#started) / 1000);
    const rate = this.#bytes / seconds;
    const left = rate > 0 ? duration(Math.max(0, this.#total.bytes - this.#bytes) / rate) : "?";
    return `${size(this.#bytes)} of ${size(this.#total.bytes)}, ${tags}, ${size(rate)}/s, ${left} left`;
  }
}

/** Bytes as people read them, in powers of ten as docker shows them: `512 B`, `1.2 MB`. */
export function size(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let [value, unit] = [bytes, 0];
  for (; value >= 999.5 && unit < units.length - 1; unit++) value /= 1000;
  return `${unit === 0 ? Math.round(value) : value < 9.95 ? value.toFixed(1) : Math.round(value)} ${units[unit] ?? ""}`;
}

function duration(seconds: number): string {
  const whole = Math.ceil(seconds);
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${whole % 60} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
