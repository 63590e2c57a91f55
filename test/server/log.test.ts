import { expect } from "chai";
import { createLog, logLevels, type LogLevel } from "../../src/server/log.ts";

describe("createLog", () => {
  let lines: string[];
  const destination = { write: (line: string) => lines.push(line) };

  beforeEach(() => {
    lines = [];
  });

  function only(): Record<string, unknown> {
    expect(lines).to.have.length(1);
    return JSON.parse(lines[0] ?? "") as Record<string, unknown>;
  }

  for (const [index, level] of logLevels.entries()) {
    it(`at level ${level} writes ${logLevels.slice(index).join(", ")}`, () => {
      const log = createLog({ level, destination });
      for (const each of logLevels) log[each]({}, each);
      expect(lines.map((line) => (JSON.parse(line) as { level: LogLevel }).level)).to.deep.equal(
        logLevels.slice(index),
      );
    });
  }

  it("writes the time, the message and the facts, on one line", () => {
    createLog({ level: "info", destination }).child({ worker: 1 }).info({ n: 2, text: "a\nb" }, "it\nis");
    expect(only()).to.include({ level: "info", msg: "it\nis", worker: 1, n: 2, text: "a\nb" });
    expect(Date.parse(String(only()["time"]))).to.be.a("number").and.not.NaN;
    expect(lines[0]).to.match(/^[^\n]+\n$/);
  });

  it("writes errors with stack, code and causes", () => {
    const cause = Object.assign(new TypeError("deep"), { code: "EDEEP" });
    createLog({ level: "info", destination }).error({ err: new Error("outer", { cause }) }, "failed");
    const { err } = only() as { err: Record<string, unknown> };
    expect(err).to.include({ type: "Error", message: "outer" });
    expect(err["stack"]).to.include("log.test.ts");
    expect(err["cause"]).to.include({ type: "TypeError", message: "deep", code: "EDEEP" });
  });

  it("masks what is secret by its name, wherever it is", () => {
    const facts = {
      headers: {
        Authorization: "Basic aaa",
        cookie: "bbb",
        "X-Docker-Token": "ccc",
        "x-signature": "ddd",
        accept: "json",
      },
      settings: [{ s3_secret_key: "eee", smtp_password: "fff", boto_bucket: "bucket" }],
    };
    createLog({ level: "info", destination }).child({ privileged_key: "ggg", api_key: "hhh" }).info(facts, "m");
    expect(lines[0]).not.to.match(/aaa|bbb|ccc|ddd|eee|fff|hhh/);
    expect(lines[0]).to.include("json").and.include("bucket").and.include("***");
  });

  it("masks credentials in texts, errors and messages", () => {
    const error = new Error("connect redis://:hunter2@cache:6379 failed");
    const url = new URL("https://user:hunter2@hub.example/?X-Amz-Signature=hunter2&n=1");
    const log = createLog({ level: "info", destination });
    log.info({ err: error, url, text: "Authorization: Bearer hunter2" }, "postgresql://me:hunter2@db/x");
    expect(lines[0]).not.to.include("hunter2");
    expect(lines[0]).to.include("redis://***@cache:6379").and.include("postgresql://***@db/x").and.include("n=1");
  });

  it("survives facts that no JSON can hold", () => {
    const circle: Record<string, unknown> = { big: 1n, bytes: Buffer.alloc(3), at: new Date(0) };
    circle["self"] = circle;
    createLog({ level: "info", destination }).info(circle, "m");
    expect(only()).to.include({ big: "1", bytes: "<3 bytes>", at: "1970-01-01T00:00:00.000Z" });
  });

  it("writes lines for people when asked, without control characters of others", () => {
    const log = createLog({ level: "info", readable: true, destination });
    log.warn({ path: "/v1/_ping", agent: "a \u001b[31m" }, "look\u001b[0m\n");
    expect(lines[0]).to.match(/^\d\d:\d\d:\d\d warn {5}look\\u001b\[0m\\n path=\/v1\/_ping agent="a \\u001b\[31m"\n$/);
  });

  it("adds the stack of an error to lines for people", () => {
    createLog({ level: "info", readable: true, destination }).error({ err: new Error("broken") }, "failed");
    expect(lines[0]).to.match(/failed\nError: broken\n {4}at /);
  });
});
