import { readdirSync } from "node:fs";
import { expect } from "chai";
import { Hashing } from "../../../src/server/accounts/hashing.ts";
import { until } from "../../support/program.ts";

const asker = { lane: "127.0.0.1", isKnown: false };

describe("the thread that hashes passwords", function () {
  this.timeout(180_000);
  let hashing: Hashing;
  afterEach(async () => {
    await hashing.close();
  });

  it("is ended when nobody needs it, and started again", async () => {
    hashing = new Hashing({ idleMilliseconds: 1 });
    const hash = await hashing.hash("open sesame", 4, asker);
    const threads = (): number => readdirSync("/proc/self/task").length;
    const most = threads();
    await until("the thread to end", () => threads() < most);
    expect(await hashing.check({ password: "open sesame", hash, failsAtCost: 4 }, asker)).to.equal(true);
    expect(await hashing.check({ password: "abracadabra", hash, failsAtCost: 4 }, asker)).to.equal(false);
  });

  it("serves those who are known first, and turns away what is too much", async () => {
    hashing = new Hashing({ mostWaiting: 2 });
    const order: string[] = [];
    const ask = async (name: string, lane: string, isKnown: boolean): Promise<void> => {
      const outcome = await hashing.hash("open sesame", 4, { lane, isKnown }).then(
        () => name,
        (error: unknown) => {
          const { code, retryAfter } = error as { code?: unknown; retryAfter?: unknown };
          return `${name}: ${String(code)} ${typeof retryAfter}`;
        },
      );
      order.push(outcome);
    };
    await Promise.all([
      ask("first", "a", false),
      ask("second", "a", false),
      ask("third", "a", false),
      ask("fourth", "a", false),
      ask("other", "b", false),
      ask("known", "a", true),
    ]);
    expect(order.slice(0, 2).sort()).to.deep.equal(["fourth: TOOMANYREQUESTS number", "third: TOOMANYREQUESTS number"]);
    expect(order.slice(2)).to.deep.equal(["first", "known", "second", "other"]);
  });
});
