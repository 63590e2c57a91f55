import { expect } from "chai";
import { Progress } from "../../bench/progress.ts";

function written(isTTY: boolean, use: (progress: Progress) => void): string {
  let text = "";
  use(new Progress({ isTTY, write: (part) => (text += part) }));
  return text;
}

const erase = "\r\u001B[2K";

describe("the progress of a measurement", () => {
  it("is one line on a terminal, above it what lasts", () => {
    const text = written(true, (progress) => {
      progress.show("one");
      progress.show("two");
      progress.note("done");
      progress.clear();
    });
    expect(text).to.equal(`${erase}one${erase}two${erase}done\n`);
  });

  it("is only what lasts elsewhere", () => {
    const text = written(false, (progress) => {
      progress.show("one");
      progress.note("done");
    });
    expect(text).to.equal("done\n");
  });
});
