import { readFile } from "node:fs/promises";
import { expect } from "chai";
import { totalOf } from "../../src/server/metrics/exposition.ts";
import type { Snapshot } from "../../src/server/metrics/snapshot.ts";
import { MetricsAnswering, MetricsGathering, type MetricsLine } from "../../src/server/worker-metrics.ts";
import { Metrics } from "../support/metrics.ts";
import { freePort, until } from "../support/program.ts";
import { RegistryProcess } from "../support/registry-process.ts";

describe("metrics of workers", () => {
  const counted = (value: number, type = "counter"): Snapshot =>
    ({ name: `of_${type}`, help: "-", type, aggregator: "sum", values: [{ value, labels: {} }] }); // prettier-ignore

  /** A worker in this process that has counted what `value` is; one that hangs does not answer. */
  function workerOf(gathering: MetricsGathering) {
    const worker = { value: 0, hangs: false, line: { send: () => undefined } as MetricsLine };
    const answering = new MetricsAnswering((message) => {
      gathering.receive(message);
    });
    answering.tell(async () => await Promise.resolve([counted(worker.value), counted(1, "gauge")]));
    worker.line = {
      send: (message) => {
        if (!worker.hangs) answering.receive(message);
      },
    };
    gathering.join(worker.line);
    return worker;
  }

  async function sums(gathering: MetricsGathering): Promise<Record<string, number>> {
    const all = (await gathering.snapshots()).flat();
    const of = (name: string) => all.filter((each) => each.name === name).reduce((sum, { values }) => sum + (values[0]?.value ?? 0), 0); // prettier-ignore
    return { counter: of("of_counter"), gauge: of("of_gauge") };
  }

  it("are of all of them, and do not shrink when one ends", async () => {
    const gathering = new MetricsGathering(totalOf);
    const [one, two] = [workerOf(gathering), workerOf(gathering)];
    Object.assign(one, { value: 5 });
    Object.assign(two, { value: 7 });
    expect(await sums(gathering)).to.deep.equal({ counter: 12, gauge: 2 });
    gathering.leave(one.line);
    expect(await sums(gathering)).to.deep.equal({ counter: 12, gauge: 1 });
    const three = workerOf(gathering);
    three.value = 1;
    expect(await sums(gathering)).to.deep.equal({ counter: 13, gauge: 2 });
    gathering.leave(three.line);
    gathering.leave(two.line);
    expect(await sums(gathering)).to.deep.equal({ counter: 13, gauge: 0 });
  });

  it("are what a worker that does not answer said last", async () => {
    const gathering = new MetricsGathering(totalOf, 20);
    const worker = workerOf(gathering);
    worker.value = 5;
    await sums(gathering);
    Object.assign(worker, { value: 6, hangs: true });
    expect(await sums(gathering)).to.deep.equal({ counter: 5, gauge: 1 });
  });

  describe("of a server", function () {
    this.timeout(180_000);
    let server: RegistryProcess;
    let url: string;

    before(async () => {
      const port = await freePort();
      url = `http://127.0.0.1:${port}/metrics`;
      server = await RegistryProcess.start(["workers: 2", `metrics: { port: ${port} }`]);
    });

    after(async () => {
      await server.remove();
    });

    const pings = ["registryctl_http_request_duration_seconds_count", 'route="/v1/_ping"'];

    it("are those of all workers together, through the death of one", async () => {
      await until("both workers", () => server.output.split('"msg":"listening on').length > 2);
      const ping = async (times: number) => {
        // Each on a connection of its own, so that workers share them.
        for (let time = 0; time < times; time++) await server.client().expect([200], "GET", "/v1/_ping");
      };
      await ping(20);
      const metrics = await Metrics.until(url, 20, ...pings);
      // Each worker says so of itself.
      expect(metrics.sum("nodejs_version_info")).to.equal(1);
      const workers = await readFile(`/proc/${server.pid}/task/${server.pid}/children`, "utf8");
      process.kill(Number(workers.split(" ")[1]), "SIGKILL");
      await until("the next worker", () => server.output.split('"msg":"listening on').length > 3);
      await ping(5);
      await Metrics.until(url, 25, ...pings);
    });

    it("are not at the registry's own address", async () => {
      await server.client().expect([404], "GET", "/metrics");
    });
  });
});
