import { expect } from "chai";
import { Attempts } from "../../../src/server/accounts/attempts.ts";
import { FairQueue } from "../../../src/server/accounts/fair-queue.ts";
import { network } from "../../../src/server/accounts/network.ts";

const allowances = {
  pair: { burst: 3, seconds: 10 },
  address: { burst: 6, seconds: 5 },
  account: { burst: 9, seconds: 2 },
};

describe("failed logins", () => {
  let now: number;
  let attempts: Attempts;
  beforeEach(() => {
    now = 1_000_000;
    attempts = new Attempts(allowances, () => now);
  });
  const fail = (name: string, address: string, times = 1): void => {
    for (let i = 0; i < times; i++) attempts.begin(name, address);
  };
  const succeed = (name: string, address: string): void => {
    attempts.begin(name, address).end("right");
  };
  const refusal = (name: string, address: string): unknown => {
    try {
      attempts.begin(name, address).end("unseen");
      return undefined;
    } catch (error) {
      const { code, retryAfter } = error as { code?: unknown; retryAfter?: unknown };
      return [code, retryAfter];
    }
  };

  it("slow down who tries an account from one address, and let others pass", () => {
    fail("ann", "10.0.0.1", 3);
    expect(refusal("ann", "10.0.0.1")).to.deep.equal(["TOOMANYREQUESTS", 10]);
    expect(refusal("ann", "10.0.0.2")).to.equal(undefined);
    expect(refusal("bob", "10.0.0.1")).to.equal(undefined);
    now += 9_000;
    expect(refusal("ann", "10.0.0.1")).to.deep.equal(["TOOMANYREQUESTS", 1]);
    now += 1_000;
    expect(refusal("ann", "10.0.0.1")).to.equal(undefined);
  });

  it("slow down an address that tries many accounts, but not those who have logged in from there", () => {
    succeed("ann", "10.0.0.1");
    for (let i = 0; i < 6; i++) fail(`user${i}`, "10.0.0.1");
    expect(refusal("user9", "10.0.0.1")).to.deep.equal(["TOOMANYREQUESTS", 5]);
    expect(refusal("ann", "10.0.0.1")).to.equal(undefined);
    expect(refusal("user9", "10.0.0.2")).to.equal(undefined);
  });

  it("slow down many addresses that try one account, but not its user at an address that they have used", () => {
    succeed("ann", "10.0.0.1");
    for (let i = 0; i < 9; i++) fail("ann", `10.0.1.${i}`);
    expect(refusal("ann", "10.0.2.1")).to.deep.equal(["TOOMANYREQUESTS", 2]);
    expect(refusal("ann", "10.0.0.1")).to.equal(undefined);
  });

  it("are counted before they are known to fail, and right ones are given back", () => {
    const running = [1, 2, 3].map(() => attempts.begin("ann", "10.0.0.1"));
    expect(refusal("ann", "10.0.0.1")).to.deep.equal(["TOOMANYREQUESTS", 10]);
    for (const attempt of running) attempt.end("right");
    for (let i = 0; i < 100; i++) succeed("ann", "10.0.0.1");
    expect(refusal("ann", "10.0.0.1")).to.equal(undefined);
  });

  it("count the network of an IPv6 address", () => {
    expect(network("10.1.2.3")).to.equal("10.1.2.3");
    expect(network("unix")).to.equal("unix");
    expect(network("2001:db8::1")).to.equal("2001:db8:0:0::/64");
    expect(network("2001:0db8:0:0:ffff::9")).to.equal(network("2001:db8::1"));
    expect(network("2001:db8:0:1::1")).not.to.equal(network("2001:db8::1"));
    expect(network("fe80::1%eth0")).to.equal("fe80:0:0:0::/64");
    expect(network("::1")).to.equal("0:0:0:0::/64");
  });
});

describe("a fair queue", () => {
  const drained = (queue: FairQueue<{ lane: string; id: number }>): number[] => {
    const ids: number[] = [];
    for (let item = queue.next(); item; item = queue.next()) ids.push(item.id);
    return ids;
  };

  it("serves its lanes in turn", () => {
    const queue = new FairQueue<{ lane: string; id: number }>(10);
    for (const [id, lane] of ["a", "a", "a", "b", "c", "b"].entries()) {
      expect(queue.add({ lane, id })).to.equal(undefined);
    }
    expect(queue.size).to.equal(6);
    expect(drained(queue)).to.deep.equal([0, 3, 4, 1, 5, 2]);
    expect(queue.size).to.equal(0);
  });

  it("turns away the last of the longest lane when it is full", () => {
    const queue = new FairQueue<{ lane: string; id: number }>(3);
    for (let id = 0; id < 3; id++) queue.add({ lane: "a", id });
    expect(queue.add({ lane: "a", id: 3 })?.id).to.equal(3);
    expect(queue.add({ lane: "b", id: 4 })?.id).to.equal(2);
    expect(queue.add({ lane: "b", id: 5 })?.id).to.equal(5);
    expect(drained(queue)).to.deep.equal([0, 4, 1]);
  });
});
