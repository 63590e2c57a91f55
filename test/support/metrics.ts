import { until } from "./program.ts";

/** What is shown at a URL of metrics: each series, written as Prometheus does, and its value. */
export class Metrics {
  readonly text: string;
  readonly #values: ReadonlyMap<string, number>;

  constructor(text: string) {
    this.text = text;
    const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
    this.#values = new Map(lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ")))])); // prettier-ignore
  }

  static async at(url: string): Promise<Metrics> {
    return new Metrics(await (await fetch(url)).text());
  }

  /** The sum of all series whose name and labels have all these parts. */
  sum(...parts: readonly string[]): number {
    return [...this.#values].filter(([name]) => parts.every((part) => name.includes(part))).reduce((sum, [, value]) => sum + value, 0); // prettier-ignore
  }

  /** Requests are counted when their answer has been sent: waits until a sum is what it has to be. */
  static async until(url: string, wanted: number, ...parts: readonly string[]): Promise<Metrics> {
    let last: Metrics | undefined;
    try {
      return await until(parts.join(" "), async () => {
        last = await Metrics.at(url);
        return last.sum(...parts) === wanted ? last : undefined;
      });
    } catch (cause) {
      throw new Error(`${parts.join(" ")} is ${String(last?.sum(...parts))}, not ${wanted}`, { cause });
    }
  }
}
