import { expect } from "chai";
import { asText, type Report } from "../../bench/report.ts";
import type { Result, Side } from "../../bench/results.ts";

function side(contestant: string, value: number): Side {
  return { contestant, value, samples: [value, value], cpu: 1, peakBytes: 1e6, beside: { extra: value }, disturbed: 1 };
}

function result(title: string, ...sides: readonly Side[]): Result {
  const sample = (): Promise<never> => Promise.reject(new Error("not sampled here"));
  return { workload: { name: title, title, unit: "MB/s", better: "more", per: "GB", sample }, sides };
}

function report(...results: readonly Result[]): string {
  const facts: Omit<Report, "results"> = {
    date: "2026-01-01",
    command: "npm run bench",
    machine: { cpu: "a processor", cores: 2, memory: 2 ** 30, kernel: "6.1", node: "v20" },
    contestants: ["registryctl", "docker-registry"],
    rounds: 2,
    isQuick: false,
    seconds: 1,
    verdicts: [],
  };
  return asText({ ...facts, results });
}

/** The tables of a report, each as the cells of its rows, without the rule below the heading. */
function tables(text: string): readonly (readonly string[])[][] {
  return text
    .split("\n\n")
    .map((block) => block.split("\n").filter((line) => line.startsWith("|") && !line.startsWith("| ---")))
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()))); // prettier-ignore
}

describe("the report of a measurement", () => {
  const beside = result("a", side("registryctl", 30), side("docker-registry", 10));
  const stored = result("b", side("registryctl", 8), side("curl", 10));
  const alone = result("c", side("registryctl", 5));

  it("has a table for each peer, whose headings name it", () => {
    const [first, second, ...more] = tables(report(beside, stored, alone));
    expect(first?.[0]?.slice(0, 8)).to.deep.equal(["workload", "unit", "registryctl", "docker-registry", "ratio", "CPU s per", "CPU registryctl", "CPU docker-registry"]); // prettier-ignore
    expect(first?.slice(1).map((row) => row.slice(0, 5))).to.deep.equal([
      ["a", "MB/s", "30.0", "10.0", "3.00"],
      ["c", "MB/s", "5.00", "–", "–"],
    ]);
    expect(second?.[0]?.slice(2, 5)).to.deep.equal(["registryctl", "curl", "ratio"]);
    expect(second?.[0]?.slice(6, 8)).to.deep.equal(["CPU registryctl", "CPU curl"]);
    expect(second?.slice(1).map((row) => row.slice(0, 5))).to.deep.equal([["b", "MB/s", "8.00", "10.0", "0.800"]]);
    expect(more.map(([heading]) => heading?.slice(2, 4))).to.deep.equal([
      ["registryctl", "docker-registry"],
      ["registryctl", "curl"],
    ]);
  });

  it("says whose samples others disturbed", () => {
    expect(report(stored))
      .to.include("b: others disturbed 1 of 2 samples of registryctl\n")
      .and.include("b: others disturbed 1 of 2 samples of curl\n");
  });

  it("has no table of what has failed", () => {
    const text = report({ ...result("d"), failure: "curl: no answer" });
    expect(text).to.include("FAILED d: curl: no answer");
    expect(tables(text)).to.deep.equal([]);
  });
});
