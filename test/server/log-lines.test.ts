import { expect } from "chai";
import { createLog } from "../../src/server/log.ts";
import { gathered } from "../../src/server/log-lines.ts";
import { until } from "../support/program.ts";

describe("gathered", () => {
  let written: string[];
  beforeEach(() => {
    written = [];
  });
  const lines = () => gathered({ write: (text) => written.push(text) });
  const log = () => createLog({ level: "debug", destination: lines() });
  const messages = () =>
    written.map((text) => [...text.matchAll(/"msg":"(.*?)"/g)].map(([, message]) => message).join());

  it("writes the lines of a turn together, in order, when it is over", async () => {
    const { debug, info, warn } = log();
    debug({}, "a");
    info({}, "b");
    warn({}, "c");
    expect(written).to.deep.equal([]);
    await until("lines", () => written.length > 0);
    info({}, "d");
    await until("more lines", () => written.length > 1);
    expect(messages()).to.deep.equal(["a,b,c", "d"]);
  });

  it("writes errors at once, after what came before them", () => {
    const { info, error, critical } = log();
    info({}, "a");
    error({}, "b");
    critical({}, "c");
    expect(messages()).to.deep.equal(["a,b", "c"]);
  });

  it("writes lines for people at once", () => {
    createLog({ level: "info", readable: true, destination: lines() }).info({}, "a");
    expect(written).to.have.length(1);
  });

  it("never writes more than a pipe takes at once, but for a longer line", async () => {
    const { info } = log();
    for (let n = 0; n < 100; n += 1) info({}, "é".repeat(n * 30));
    await until("all lines", () => written.join("").split("\n").length > 100);
    for (const text of written) {
      expect(text.endsWith("\n")).to.equal(true);
      if (text.indexOf("\n") < text.length - 1) expect(Buffer.byteLength(text)).to.be.at.most(4096);
    }
    expect(written.length).to.be.lessThan(100);
  });
});
