import { expect } from "chai";
import { health, type Health, type HealthCheck, type HealthOptions } from "../../../src/server/admin/health.ts";
import { nothing, koaServer, type KoaServer } from "../../support/koa-server.ts";

describe("health", () => {
  let server: KoaServer | undefined;
  let probes: Health;
  let changes: string[];

  afterEach(async () => {
    server?.cut();
    await server?.close(0);
  });

  async function start(checks: readonly HealthCheck[], options: Partial<HealthOptions> = {}): Promise<string> {
    changes = [];
    const onChange = (name: string, reason?: Error): number => changes.push(`${name}: ${reason?.message ?? "passes"}`);
    probes = health({ checks, maxAge: 0, onChange, ...options });
    server = await koaServer(nothing, { outer: [probes.middleware] });
    return server.url;
  }

  const passing: HealthCheck = { name: "storage", check: () => Promise.resolve() };
  const failing: HealthCheck = { name: "search", check: () => Promise.reject(new Error("password is hunter2")) };

  it("is alive and ready when every check passes", async () => {
    const url = await start([passing]);
    for (const path of ["/livez", "/readyz"]) {
      const answer = await fetch(url + path);
      expect([answer.status, await answer.text(), answer.headers.get("cache-control")]).to.deep.equal([
        200,
        "ok\n",
        "no-store",
      ]);
    }
    expect(await (await fetch(`${url}/readyz?verbose`)).json()).to.deep.equal({
      status: "ok",
      checks: { storage: "ok" },
    });
  });

  it("is alive but not ready when a check fails, and says which, not why", async () => {
    const url = await start([passing, failing]);
    expect((await fetch(`${url}/livez`)).status).to.equal(200);
    const answer = await fetch(`${url}/readyz?verbose`);
    expect(answer.status).to.equal(503);
    expect(await answer.json()).to.deep.equal({ status: "failing", checks: { storage: "ok", search: "failing" } });
    expect(changes).to.deep.equal(["search: password is hunter2"]);
  });

  it("is not ready while draining, but alive", async () => {
    const url = await start([passing]);
    probes.drain();
    const answer = await fetch(`${url}/readyz`);
    expect([answer.status, await answer.text()]).to.deep.equal([503, "draining\n"]);
    expect((await fetch(`${url}/livez`)).status).to.equal(200);
  });

  it("gives up on a check that never ends, or throws", async () => {
    const stuck: HealthCheck = { name: "stuck", check: () => new Promise(() => undefined) };
    const thrown: HealthCheck = {
      name: "thrown",
      check: () => {
        throw new Error("at once");
      },
    };
    const url = await start([stuck, thrown], { timeout: 0.02 });
    expect((await fetch(`${url}/readyz`)).status).to.equal(503);
    expect(changes.sort()).to.deep.equal(["stuck: no answer within 0.02 s", "thrown: at once"]);
  });

  it("tells of a failure once, and of the recovery", async () => {
    let broken = true;
    const url = await start([
      { name: "storage", check: () => (broken ? Promise.reject(new Error("gone")) : Promise.resolve()) },
    ]);
    await fetch(`${url}/readyz`);
    await fetch(`${url}/readyz`);
    broken = false;
    expect((await fetch(`${url}/readyz`)).status).to.equal(200);
    expect(changes).to.deep.equal(["storage: gone", "storage: passes"]);
  });

  it("shares a result among probes that come together, and soon after", async () => {
    let calls = 0;
    const counted: HealthCheck = {
      name: "counted",
      check: () => {
        calls += 1;
        return Promise.resolve();
      },
    };
    const url = await start([counted], { maxAge: 1000 });
    await Promise.all(Array.from({ length: 10 }, async () => await fetch(`${url}/readyz`)));
    await fetch(`${url}/readyz`);
    expect(calls).to.equal(1);
  });

  it("answers HEAD, and leaves all else alone", async () => {
    const url = await start([passing]);
    expect((await fetch(`${url}/readyz`, { method: "HEAD" })).status).to.equal(200);
    expect((await fetch(`${url}/readyz`, { method: "POST" })).status).to.equal(404);
    expect((await fetch(`${url}/readyz/x`)).status).to.equal(404);
  });
});
