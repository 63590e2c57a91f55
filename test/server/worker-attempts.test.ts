import { expect } from "chai";
import { Attempts } from "../../src/server/accounts/attempts.ts";
import { AttemptCounting, WorkerAttempts, type AttemptLine } from "../../src/server/worker-attempts.ts";
import { refusal } from "../support/refusal.ts";

const few = { burst: 3, seconds: 10 };
const many = { burst: 1000, seconds: 1 };

describe("failed logins at several workers", () => {
  let counting: AttemptCounting;
  beforeEach(() => {
    counting = new AttemptCounting(new Attempts({ pair: few, address: many, account: many }, () => 1_000_000));
  });
  const worker = () => {
    const line: AttemptLine = {
      send: (message) => {
        attempts.receive(message);
      },
    };
    const attempts = new WorkerAttempts((message) => {
      // Messages of processes come later.
      queueMicrotask(() => {
        counting.receive(line, message);
      });
    });
    const end = (): void => {
      counting.leave(line);
    };
    return { attempts, end };
  };

  it("count together, and are told when to come again", async () => {
    const [one, two] = [worker(), worker()];
    for (const { attempts } of [one, two, one]) (await attempts.begin("ann", "10.0.0.1")).end("wrong");
    for (const { attempts } of [one, two]) {
      const refused = await attempts.begin("ann", "10.0.0.1").catch((error: unknown) => error);
      expect(refused).to.include({ code: "TOOMANYREQUESTS", retryAfter: 10 });
    }
    expect((await two.attempts.begin("bob", "10.0.0.1")).isKnown).to.equal(false);
  });

  it("are given back when they were none, and make an address known to all", async () => {
    const [one, two] = [worker(), worker()];
    for (let times = 0; times < 10; times++) (await one.attempts.begin("ann", "10.0.0.1")).end("right");
    expect((await two.attempts.begin("ann", "10.0.0.1")).isKnown).to.equal(true);
    for (let times = 0; times < 10; times++) (await one.attempts.begin("bob", "10.0.0.1")).end("unseen");
    expect((await two.attempts.begin("bob", "10.0.0.1")).isKnown).to.equal(false);
  });

  it("that a worker did not end before it died have failed", async () => {
    const [one, two] = [worker(), worker()];
    const running = await Promise.all([1, 2, 3].map(async () => await one.attempts.begin("ann", "10.0.0.1")));
    one.end();
    running[0]!.end("right");
    expect(await refusal(two.attempts.begin("ann", "10.0.0.1"))).to.equal("TOOMANYREQUESTS");
  });

  it("are nothing to messages about other things", async () => {
    const { attempts } = worker();
    attempts.receive({ turn: "given", id: 1 });
    counting.receive({ send: () => undefined }, { coherence: "changed", id: 1 });
    expect((await attempts.begin("ann", "10.0.0.1")).isKnown).to.equal(false);
  });
});
