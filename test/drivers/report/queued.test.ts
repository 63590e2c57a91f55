import { expect } from "chai";
import { Limit } from "../../../src/drivers/report/limit.ts";
import { QueuedReporter, type Send } from "../../../src/drivers/report/queued.ts";
import { faultOf } from "../../support/fault.ts";
import { until } from "../../support/program.ts";

describe("the limit of reports", () => {
  it("lets through so many in any stretch of time", () => {
    let now = 0;
    const limit = new Limit(3, 60, () => now);
    const at = (seconds: number) => {
      now = seconds * 1000;
      return limit.take();
    };
    expect([0, 1, 30, 31, 59].map(at)).to.deep.equal([true, true, true, false, false]);
    expect([60, 60.5, 61, 89, 90, 120].map(at)).to.deep.equal([true, false, true, false, true, true]);
  });
});

describe("a queued reporter", () => {
  const logged: string[] = [];
  beforeEach(() => logged.splice(0));
  const reporterOf = (send: Send, now: () => number = () => 0, closeSeconds = 5) =>
    new QueuedReporter("test", send, {
      log: (message) => logged.push(message),
      limit: new Limit(5, 60, now),
      closeSeconds,
    });

  it("sends a burst up to the limit and tells the number of the rest", async () => {
    let now = 0;
    const told: [string, number][] = [];
    const reporter = reporterOf(
      (fault, untold) => {
        told.push([fault.error.message, untold]);
        return Promise.resolve();
      },
      () => now,
    );
    for (let at = 1; at <= 500; at++) reporter.report(faultOf(new Error(`fault ${at}`)));
    expect(told, "nothing is sent in the turn of the request").to.deep.equal([]);
    await until("the burst to be sent", () => told.length === 5);
    expect(told).to.deep.equal([["fault 1", 495], ...[2, 3, 4, 5].map((at): [string, number] => [`fault ${at}`, 0])]);
    for (let at = 1; at <= 37; at++) reporter.report(faultOf(new Error("too many")));
    now = 60_000;
    reporter.report(faultOf(new Error("the next minute")));
    await until("the next", () => told.length === 6);
    expect(told[5]).to.deep.equal(["the next minute", 37]);
    await reporter.close();
    expect(logged).to.deep.equal([]);
  });

  it("counts what could not be sent, and logs an outage once", async () => {
    let fails = true;
    const told: number[] = [];
    const reporter = new QueuedReporter(
      "test",
      (_, untold) => {
        if (fails) return Promise.reject(new TypeError("failed", { cause: new Error("password=x refused\nhere") }));
        told.push(untold);
        return Promise.resolve();
      },
      { log: (message) => logged.push(message), limit: new Limit(100, 60) },
    );
    for (let at = 0; at < 3; at++) reporter.report(faultOf(new Error("lost")));
    await until("the outage", () => logged.length > 0);
    expect(logged).to.deep.equal(["test: faults cannot be told: failed: password=[removed] refused"]);
    await until("the end of the outage", async () => {
      await Promise.resolve();
      fails = false;
      reporter.report(faultOf(new Error("told")));
      return told.length > 0;
    });
    await reporter.close();
    expect(told[0]).to.be.at.least(1);
    expect(logged[1]).to.equal("test: faults can be told again");
    expect(logged).to.have.lengthOf(2);
  });

  it("sends what is queued before it closes, and nothing after", async () => {
    let sent = 0;
    const reporter = reporterOf(async () => {
      await new Promise((resolve) => setImmediate(resolve));
      sent++;
    });
    for (let at = 0; at < 5; at++) reporter.report(faultOf(new Error("queued")));
    await reporter.close();
    expect(sent).to.equal(5);
    reporter.report(faultOf(new Error("late")));
    await reporter.close();
    expect(sent).to.equal(5);
    expect(logged).to.deep.equal(["test: 1 faults were not told"]);
  });

  it("gives up what hangs when it closes, and says how much was lost", async () => {
    const reporter = reporterOf(
      (_, __, signal) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener("abort", () => {
            reject(new Error("aborted", { cause: signal.reason }));
          });
        }),
      () => 0,
      0.05,
    );
    for (let at = 0; at < 500; at++) reporter.report(faultOf(new Error("hanging")));
    await reporter.close();
    expect(logged).to.deep.equal([
      "test: faults cannot be told: the server stopped before it was sent",
      "test: 500 faults were not told",
    ]);
  });

  it("survives errors that cannot be described", async () => {
    const reporter = reporterOf((fault) => Promise.reject(new Error(fault.error.message)));
    const hostile = new Error("x");
    Object.defineProperty(hostile, "message", {
      get: () => {
        throw new Error("no message");
      },
    });
    reporter.report(faultOf(hostile));
    await reporter.close();
    expect(logged[0]).to.equal("test: faults cannot be told: no message");
  });
});
