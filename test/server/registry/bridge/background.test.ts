import { expect } from "chai";
import { Background } from "../../../../src/server/registry/bridge/background.ts";
import { SharedRuns } from "../../../../src/server/registry/bridge/shared-runs.ts";
import { until } from "../../../support/program.ts";

/** A work that goes on until it is told to end. */
function gate(): { readonly work: () => Promise<void>; readonly open: () => void } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return {
    work: async () => {
      await opened;
    },
    open,
  };
}

describe("works in the background", () => {
  it("are done one after another, each name once, whatever one of them fails with", async () => {
    const done: string[] = [];
    const failed: string[] = [];
    const background = new Background((error, name) => failed.push(`${name}: ${String(error)}`));
    const { work, open } = gate();
    background.add("first", work);
    for (const name of ["a", "b", "a"]) {
      background.add(name, async () => {
        done.push(name);
        if (name === "a") throw new Error("no");
        await Promise.resolve();
      });
    }
    expect(done).to.deep.equal([]);
    open();
    await until("the works", () => done.length === 2);
    await background.close();
    expect(done).to.deep.equal(["a", "b"]);
    expect(failed).to.deep.equal(["a: Error: no"]);
  });

  it("are given up at the end, but for the one that has begun, of which nobody is told", async () => {
    const events: string[] = [];
    const background = new Background((_, name) => events.push(`${name} failed`));
    const { work, open } = gate();
    background.add("first", async () => {
      await work();
      events.push("first ended");
      throw new Error("no");
    });
    background.add("second", async () => {
      events.push("second began");
      await Promise.resolve();
    });
    await Promise.resolve();
    const closed = background.close().then(() => events.push("closed"));
    background.add("third", async () => {
      events.push("third began");
      await Promise.resolve();
    });
    open();
    await closed;
    expect(events).to.deep.equal(["first ended", "closed"]);
  });
});

describe("shared runs", () => {
  it("do a work once for all who ask meanwhile, and again for who asks later", async () => {
    const runs = new SharedRuns<number>({ atOnce: 2 });
    let count = 0;
    const work = async () => await Promise.resolve(++count);
    expect(await Promise.all([runs.run("a", work), runs.run("a", work)])).to.deep.equal([1, 1]);
    expect(await runs.run("a", work)).to.equal(2);
  });

  it("do so many works at once and no more, also after failures", async () => {
    const runs = new SharedRuns<void>({ atOnce: 2 });
    let [active, most] = [0, 0];
    const work = async (): Promise<void> => {
      most = Math.max(most, ++active);
      await new Promise((resolve) => setImmediate(resolve));
      active--;
      if (active === 0) throw new Error("no");
    };
    const names = Array.from({ length: 9 }, (_, index) => `work ${index}`);
    await Promise.allSettled(
      names.map(async (name) => {
        await runs.run(name, work);
      }),
    );
    await runs.run("last", async () => {
      await Promise.resolve();
    });
    expect(most).to.equal(2);
    expect(active).to.equal(0);
  });
});
