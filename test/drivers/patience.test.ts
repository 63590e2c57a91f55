import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect } from "chai";
import { within } from "../../src/drivers/patience.ts";

describe("work that may take so long", () => {
  const messageOf = async (work: Promise<unknown>): Promise<string> =>
    await work.then(
      () => "none",
      (error: unknown) => String(error),
    );
  const unending = async (): Promise<never> => await new Promise(() => undefined);

  it("is answered when it is done", async () => {
    expect(await within(60_000, new AbortController().signal, async () => await Promise.resolve("done"))).to.equal(
      "done",
    );
  });

  it("is over in time, whether it heeds its signal or not, and whenever memory is collected", async () => {
    setFlagsFromString("--expose-gc");
    const collecting = setInterval(runInNewContext("gc") as () => void, 5).unref();
    try {
      let told: unknown;
      const late = within(100, new AbortController().signal, async (signal) => {
        signal.addEventListener("abort", () => {
          told = signal.reason;
        });
        return await unending();
      });
      expect(await messageOf(late)).to.contain("no answer within 0.1 s");
      expect(told).to.be.instanceOf(Error);
    } finally {
      clearInterval(collecting);
    }
  });

  it("ends with the reason that its caller ends with, before it and while it goes on", async () => {
    const caller = new AbortController();
    const going = within(60_000, caller.signal, unending);
    caller.abort(new Error("the server stops"));
    expect(await messageOf(going)).to.contain("the server stops");
    expect(await messageOf(within(60_000, caller.signal, unending))).to.contain("the server stops");
  });
});
