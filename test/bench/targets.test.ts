import { expect } from "chai";
import type { Result, Side } from "../../bench/results.ts";
import { full, quick } from "../../bench/scale.ts";
import { chosen } from "../../bench/selection.ts";
import { judge, targets, words, type Target } from "../../bench/targets.ts";
import { groups } from "../../bench/workloads/index.ts";
import type { Workload } from "../../bench/workloads/workload.ts";

function side(facts: Partial<Side>): Side {
  return {
    contestant: "registryctl",
    value: 1,
    samples: [1],
    cpu: 1,
    peakBytes: 1e6,
    beside: {},
    disturbed: 0,
    ...facts,
  };
}

function result(name: string, ...sides: Partial<Side>[]): Result {
  const workload: Workload = {
    name,
    title: name,
    unit: "s",
    better: "less",
    per: "1",
    sample: () => Promise.reject(new Error("not sampled here")),
  };
  return { workload, sides: sides.map(side) };
}

function verdict(target: Partial<Target>, ...results: Result[]) {
  const [first] = judge(results, [{ workload: "a", of: "ratio", ...target }]);
  return { figure: first?.figure, met: first?.met };
}

describe("the targets", () => {
  it("hold registryctl's figures against the peer's", () => {
    const measured = result(
      "a",
      { value: 30, cpu: 2, beside: { "moved MB/s": 9 } },
      { value: 10, cpu: 4, beside: { "moved MB/s": 10 } },
    );
    expect(verdict({ atLeast: 3 }, measured)).to.deep.equal({ figure: 3, met: true });
    expect(verdict({ atLeast: 3.01 }, measured)).to.deep.equal({ figure: 3, met: false });
    expect(verdict({ of: "cpu ratio", atMost: 0.5 }, measured)).to.deep.equal({ figure: 0.5, met: true });
    expect(verdict({ of: "cpu ratio", atMost: 0.4 }, measured).met).to.equal(false);
    expect(verdict({ of: "moved ratio", atLeast: 0.9 }, measured)).to.deep.equal({ figure: 0.9, met: true });
  });

  it("hold a figure against a limit, and against another workload", () => {
    const both = [result("a", { value: 95 }), result("b", { value: 100, peakBytes: 170e6 })];
    expect(verdict({ of: "value", atMost: 90 }, ...both)).to.deep.equal({ figure: 95, met: false });
    expect(verdict({ of: "rate over", other: "b", atLeast: 0.9 }, ...both)).to.deep.equal({ figure: 0.95, met: true });
    expect(verdict({ workload: "*", of: "peak MB", atMost: 160 }, ...both)).to.deep.equal({ figure: 170, met: false });
  });

  it("hold registryctl's own latency, and what is kept of its rate, against limits", () => {
    const measured = result("a", { p99: 51, beside: { "kept rate": 0.8 } });
    expect(verdict({ of: "p99 ms", atMost: 50 }, measured)).to.deep.equal({ figure: 51, met: false });
    expect(verdict({ of: "kept rate", atLeast: 0.7 }, measured)).to.deep.equal({ figure: 0.8, met: true });
    expect(verdict({ of: "p99 ms", atMost: 50 }, result("a", {})).met).to.equal(undefined);
  });

  it("judge nothing that was not measured", () => {
    expect(verdict({ atLeast: 3 })).to.deep.equal({ figure: undefined, met: undefined });
    expect(verdict({ atLeast: 3 }, result("a", { value: 1 })).met).to.equal(undefined);
    expect(verdict({ of: "cpu ratio", atMost: 1 }, result("a", {}, { cpu: Number.NaN })).met).to.equal(undefined);
    expect(verdict({ of: "rate over", other: "b", atLeast: 1 }, result("a", {})).met).to.equal(undefined);
  });

  it("are about workloads that there are", () => {
    for (const scale of [full, quick]) {
      const names = groups(scale).flatMap(({ workloads }) => workloads.map(({ name }) => name));
      expect(new Set(names).size).to.equal(names.length);
      for (const { workload, other } of targets) {
        expect([...names, "*"]).to.include(workload);
        if (other !== undefined) expect(names).to.include(other);
      }
    }
  });

  it("can be told in words", () => {
    expect(targets.map(words)).to.include.members(["ratio ≥ 10", "cpu ratio ≤ 0.75", "rate over tags-1000 ≥ 0.9"]);
  });
});

describe("the choice of workloads", () => {
  it("takes workloads and groups by name, in their own order", () => {
    const names = chosen(groups(quick), ["v1", "blob-head"]).flatMap(({ workloads }) =>
      workloads.map(({ name }) => name),
    );
    expect(names).to.deep.equal(["blob-head", "v1-layer-push", "v1-layer-pull"]);
  });

  it("takes everything but object stores when nothing is named", () => {
    const names = chosen(groups(quick), undefined).map(({ name }) => name);
    const onStores = ["s3", "gcs", "gcs-curl", "swift", "glance", "s3-redirects"];
    expect([...names, ...onStores]).to.deep.equal(groups(quick).map(({ name }) => name));
    expect(chosen(groups(quick), onStores).map(({ name }) => name)).to.deep.equal(onStores);
  });

  it("refuses what there isn't", () => {
    expect(() => chosen(groups(quick), ["mixed", "blobs"])).to.throw("no workload blobs;");
  });
});
