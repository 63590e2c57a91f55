import { expect } from "chai";
import type { Context } from "koa";
import { RegistryError } from "../../../src/server/errors.ts";
import { bufferedBody } from "../../../src/server/http/body.ts";
import { clientBehind } from "../../../src/server/http/proxy.ts";
import { requestLog } from "../../../src/server/http/request-log.ts";
import { createLog } from "../../../src/server/log.ts";
import { koaServer, type KoaServer } from "../../support/koa-server.ts";
import { until } from "../../support/program.ts";
import { RawConnection } from "../../support/raw-connection.ts";

describe("requestLog", () => {
  let server: KoaServer;
  let lines: Record<string, unknown>[];
  let act: (ctx: Context) => unknown;

  beforeEach(async () => {
    lines = [];
    const destination = { write: (line: string) => lines.push(JSON.parse(line) as Record<string, unknown>) };
    const log = createLog({ level: "debug", destination });
    act = (ctx) => {
      ctx.body = "hello";
    };
    const clientOf = clientBehind(["127.0.0.1"]);
    server = await koaServer((ctx) => act(ctx), { outer: [requestLog({ log, clientOf })] });
  });

  afterEach(async () => {
    server.cut();
    await server.close(0);
  });

  async function line(): Promise<Record<string, unknown>> {
    await until("a line", () => lines.length > 0);
    expect(lines).to.have.length(1);
    return lines[0] ?? {};
  }

  it("tells all of a request on one line, and its id to the client", async () => {
    act = async (ctx) => {
      ctx.body = `got ${(await bufferedBody(ctx, { limit: 100 })).length}`;
    };
    const headers = { "user-agent": "docker/1.5.0", "x-forwarded-for": "192.0.2.7", "x-request-id": "abc.1" };
    const answer = await fetch(`${server.url}/v1/x?token=hunter2`, { method: "PUT", body: "12345", headers });
    expect(answer.headers.get("x-request-id")).to.equal("abc.1");
    const facts = await line();
    expect(facts).to.include({
      level: "info",
      id: "abc.1",
      method: "PUT",
      path: "/v1/x",
      remoteAddress: "192.0.2.7",
      userAgent: "docker/1.5.0",
      status: 200,
      in: 5,
      msg: "PUT /v1/x 200",
    });
    expect(facts["out"]).to.be.a("number").and.greaterThan(5);
    expect(facts["ms"]).to.be.a("number");
    expect(facts).not.to.have.any.keys("aborted", "code");
    expect(JSON.stringify(facts)).not.to.include("hunter2");
  });

  for (const id of ["", "a b", "x".repeat(129), "-a", "<script>"]) {
    it(`makes an id of its own instead of ${JSON.stringify(id.slice(0, 10))}`, async () => {
      const answer = await fetch(server.url, { headers: { "x-request-id": id } });
      expect(answer.headers.get("x-request-id")).to.match(/^[\da-f]{8}-[\da-f-]{27}$/);
      expect((await line())["id"]).to.equal(answer.headers.get("x-request-id"));
    });
  }

  it("says why a request was refused", async () => {
    act = () => {
      throw new RegistryError("STORAGE_UNAVAILABLE", { detail: "later", cause: new Error("connection refused") });
    };
    await fetch(server.url);
    expect(await line()).to.include({
      level: "error",
      status: 503,
      code: "STORAGE_UNAVAILABLE",
      detail: "later",
      cause: "connection refused",
    });
  });

  it("keeps the cause of a client's mistake to itself", async () => {
    act = () => {
      throw new RegistryError("JSON_INVALID", { cause: new Error("Unexpected token") });
    };
    await fetch(server.url);
    expect(await line())
      .to.include({ level: "info", status: 400, code: "JSON_INVALID" })
      .and.not.have.property("cause");
  });

  it("says that a client went away", async () => {
    let reached = false;
    act = async (ctx) => {
      reached = true;
      await bufferedBody(ctx, { limit: 100 });
    };
    const connection = await RawConnection.open(
      server.port,
      "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc",
    );
    await until("the request", () => reached);
    connection.socket.resetAndDestroy();
    expect(await line())
      .to.include({ aborted: true, in: 3, msg: "PUT / aborted" })
      .and.not.have.property("status");
  });

  it("says that an answer was cut", async () => {
    act = (ctx) => {
      ctx.status = 200;
      ctx.res.write("half");
      throw new Error("late");
    };
    await RawConnection.open(server.port, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    expect(await line()).to.include({ aborted: true, status: 200 });
  });

  it("whispers of probes", async () => {
    await fetch(`${server.url}/readyz?verbose`);
    expect(await line()).to.include({ level: "debug", path: "/readyz" });
  });
});
