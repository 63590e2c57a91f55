/** Where progress is told: stderr, or a stand-in. */
export interface Stream {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

/** One line that says what is going on, on a terminal only, and lasting lines above it. */
export class Progress {
  readonly #stream: Stream;
  #isShown = false;

  constructor(stream: Stream) {
    this.#stream = stream;
  }

  /** What is going on from now on. */
  show(text: string): void {
    if (!this.#stream.isTTY) return;
    this.#stream.write(`\r\u001B[2K${text}`);
    this.#isShown = true;
  }

  /** What is to be seen afterwards, too. */
  note(text: string): void {
    this.clear();
    this.#stream.write(`${text}\n`);
  }

  clear(): void {
    if (this.#isShown) this.#stream.write("\r\u001B[2K");
    this.#isShown = false;
  }
}
