import { once } from "node:events";
import { Agent, request, type IncomingMessage } from "node:http";
import { setImmediate } from "node:timers/promises";
import { expect } from "chai";
import Koa from "koa";
import { invalidWatch, Watches, type Watch } from "../../../src/drivers/storage/watches.ts";
import { listen, type RunningServer } from "../../../src/server/server.ts";
import { unrestricted } from "../../../src/server/access/caller.ts";
import { HotAnswers } from "../../../src/server/v2/hot.ts";
import { digestOf, imageManifest, pushBlob, pushManifest } from "../../support/oci-image.ts";
import { seededRandom } from "../../support/random.ts";
import { startRegistry, type RegistryServer } from "../../support/registry-server.ts";
import { V1Client } from "../../support/v1-client.ts";

const path = "/v2/a/manifests/v1";

describe("HotAnswers", () => {
  const watches = new Watches();
  const begun: Watch[] = [];
  let isExclusive: boolean;
  let isTrusted: boolean;
  let status: number;
  let applied: number;
  let noted: number;
  let failing: boolean;
  let changing: boolean;
  let closing: boolean;
  let server: RunningServer;

  beforeEach(async () => {
    [isExclusive, isTrusted, status, applied, noted, failing] = [true, true, 200, 0, 0, false];
    [changing, closing] = [false, false];
    begun.length = 0;
    const hot = new HotAnswers({
      watch: () => {
        const watch = isExclusive ? watches.watch() : invalidWatch;
        begun.push(watch);
        return watch;
      },
      access: { known: () => (isTrusted ? unrestricted("anyone") : undefined) },
      note: () => `id-${(noted += 1)}`,
      v1UserAgents: /^docker\/1\.5/,
    });
    const app = new Koa();
    app.silent = true;
    app.use(async (ctx) => {
      applied += 1;
      await hot.keep(ctx, "everything", async (watch) => {
        await Promise.resolve();
        watch.add("tag");
        if (failing) throw new Error("the storage fails");
        if (changing) watches.invalidate(["tag"]);
        ctx.status = status;
        const body = Buffer.from(`answer ${applied}`.padEnd(Number(ctx.query["size"] ?? 0)));
        if (status === 200) ctx.body = body;
        ctx.set("Content-Type", "text/x-answer");
        return ctx.path.includes("/blobs/") ? undefined : body;
      });
    });
    const callback = app.callback();
    server = await listen(
      (request, response) => {
        if (closing) response.setHeader("Connection", "close");
        if (!hot.answer(request, response)) void callback(request, response);
      },
      { host: "127.0.0.1", port: 0 },
    );
  });

  afterEach(async () => {
    server.cut();
    await server.close(0);
  });

  const get = async (url = path, init: RequestInit = {}) => {
    const answer = await fetch(`${server.url}${url}`, init);
    const { headers } = answer;
    return {
      body: await answer.text(),
      id: headers.get("x-request-id"),
      type: headers.get("content-type"),
      connection: headers.get("connection"),
    };
  };

  it("gives an answer again without the application, and has it noted", async () => {
    expect(await get()).to.include({ body: "answer 1", id: null });
    for (const id of ["id-1", "id-2"]) {
      expect(await get()).to.include({ body: "answer 1", id, type: "text/x-answer" });
    }
    expect(await get(path, { method: "HEAD" })).to.include({ body: "", id: "id-3", type: "text/x-answer" });
    expect(applied).to.equal(1);
  });

  it("gives the answer to a HEAD of a blob to HEAD alone", async () => {
    const blob = "/v2/a/blobs/x";
    await get(blob);
    for (let n = 0; n < 3; n += 1) await get(blob, { method: "HEAD" });
    expect(applied).to.equal(2);
    await get(blob);
    expect(applied).to.equal(3);
  });

  it("asks the application again when what the answer was made from has changed", async () => {
    await get();
    watches.invalidate(["other"]);
    expect((await get()).body).to.equal("answer 1");
    watches.invalidate(["tag"]);
    expect((await get()).body).to.equal("answer 2");
    expect((await get()).body).to.equal("answer 2");
  });

  const unkept: Readonly<Record<string, () => void>> = {
    "where others may change the store": () => {
      isExclusive = false;
    },
    "that are no success": () => {
      status = 404;
    },
    "that failed": () => {
      failing = true;
    },
    "made of what changed meanwhile": () => {
      changing = true;
    },
  };
  for (const [what, change] of Object.entries(unkept)) {
    it(`keeps no answers ${what}`, async () => {
      change();
      await get();
      await get();
      expect(applied).to.equal(2);
      expect(begun.filter(({ isValid }) => isValid)).to.deep.equal([]);
    });
  }

  const unusual: Readonly<Record<string, readonly [string, RequestInit]>> = {
    "a query": [`${path}?n=1`, {}],
    "percent-encoding": ["/v2/a/manifests/v%31", {}],
    "another resource": ["/v2/a/tags/other", {}],
    "a long query": [`/v2/a/tags/list?last=${"a".repeat(600)}`, {}],
    "a large page": ["/v2/a/tags/list?size=100000", {}],
    "a range": [path, { headers: { Range: "bytes=0-1" } }],
    "an ETag": [path, { headers: { "If-None-Match": "*" } }],
    "a client of V1": [path, { headers: { "User-Agent": "docker/1.5.0" } }],
    "another method": [path, { method: "OPTIONS" }],
  };
  for (const [what, [url, init]] of Object.entries(unusual)) {
    it(`leaves requests with ${what} to the application, and keeps none of their answers`, async () => {
      await get(url, init);
      await get(url, init);
      expect(applied).to.equal(2);
      await get();
      await get(url, init);
      expect(applied).to.equal(4);
    });
  }

  it("gives pages of lists again, each by its own query", async () => {
    const pages = ["/v2/_catalog", "/v2/_catalog?last=a%2Fb&n=2", "/v2/a/tags/list?n=1", "/v2/a/tags/list?n=2"];
    for (let round = 0; round < 2; round += 1) {
      for (const [index, url] of pages.entries()) expect((await get(url)).body).to.equal(`answer ${index + 1}`);
    }
    watches.invalidate(["tag"]);
    expect((await get(pages[0])).body).to.equal("answer 5");
  });

  it("lets a connection be closed, and keeps no answer of the last request on one", async () => {
    closing = true;
    for (let n = 0; n < 2; n += 1) expect((await get()).connection).to.equal("close");
    expect(applied).to.equal(2);
    closing = false;
    await get();
    closing = true;
    expect(await get()).to.include({ body: "answer 3", id: "id-1", connection: "close" });
    closing = false;
    expect(await get()).to.include({ body: "answer 3", id: "id-2", connection: "keep-alive" });
  });

  it("leaves it to the application to refuse who is not trusted", async () => {
    await get();
    isTrusted = false;
    await get();
    expect([applied, noted]).to.deep.equal([2, 0]);
  });
});

describe("V2 hot answers of a registry", () => {
  const name = "some/image";
  let server: RegistryServer;
  before(async () => {
    server = await startRegistry();
  });
  after(async () => {
    await server.close();
  });
  const ask = async (url: string, method = "GET") => {
    const answer = await fetch(`${server.url}/v2/${name}/${url}`, { method });
    await answer.arrayBuffer();
    return answer.status === 200 ? answer.headers.get("docker-content-digest") : answer.status;
  };
  const askOften = async (url: string) => {
    for (let n = 0; n < 3; n += 1) await ask(url, n === 1 ? "HEAD" : "GET");
    return await ask(url);
  };

  it("show a moved and a deleted tag at once", async () => {
    const [one, two] = await manifests(2);
    await pushManifest(server.client, name, "moving", one!);
    expect(await askOften("manifests/moving")).to.equal(digestOf(JSON.stringify(one)));
    await pushManifest(server.client, name, "moving", two!);
    expect(await ask("manifests/moving")).to.equal(digestOf(JSON.stringify(two)));
    await askOften("manifests/moving");
    await server.client.expect([202], "DELETE", `/v2/${name}/manifests/moving`);
    expect(await ask("manifests/moving")).to.equal(404);
  });

  it("show lists of tags and repositories as they are, whichever protocol changes them", async () => {
    const image = "ab".repeat(32);
    const v1 = new V1Client(server.url);
    await v1.expect([200], "PUT", `/v1/images/${image}/json`, { body: Buffer.from(JSON.stringify({ id: image })) });
    const list = async (url: string) => {
      for (let n = 0; n < 2; n += 1) await (await fetch(`${server.url}${url}`)).arrayBuffer();
      const answer = (await (await fetch(`${server.url}${url}`)).json()) as Readonly<Record<string, unknown>>;
      return answer["tags"] ?? answer["repositories"] ?? "none";
    };
    const tags = "/v2/zz/a/tags/list?n=100";
    const catalog = "/v2/_catalog?n=100&last=zz";
    const lists = async () => [await list(tags), await list(catalog)];
    expect(await lists()).to.deep.equal(["none", []]);
    await pushManifest(server.client, "zz/a", "v2", await imageManifest(server.client, "zz/a", "one"));
    expect(await lists()).to.deep.equal([["v2"], ["zz/a"]]);
    await v1.expect([200], "PUT", "/v1/repositories/zz/a/tags/v1", { body: Buffer.from(JSON.stringify(image)) });
    await v1.expect([200], "PUT", "/v1/repositories/zz/b/tags/v1", { body: Buffer.from(JSON.stringify(image)) });
    expect(await lists()).to.deep.equal([
      ["v1", "v2"],
      ["zz/a", "zz/b"],
    ]);
    await server.client.expect([202], "DELETE", "/v2/zz/a/manifests/v2");
    await v1.expect([200], "DELETE", "/v1/repositories/zz/b/tags/v1");
    expect(await lists()).to.deep.equal([["v1"], ["zz/a"]]);
  });

  it("show a deleted manifest at once, under its tags too", async () => {
    const [one] = await manifests(1);
    const { digest } = await pushManifest(server.client, name, "named", one!);
    for (const url of ["manifests/named", `manifests/${digest}`]) expect(await askOften(url)).to.equal(digest);
    await server.client.expect([202], "DELETE", `/v2/${name}/manifests/${digest}`);
    for (const url of ["manifests/named", `manifests/${digest}`]) expect(await ask(url)).to.equal(404);
    await pushManifest(server.client, name, "named", one!);
    for (const url of ["manifests/named", `manifests/${digest}`]) expect(await ask(url)).to.equal(digest);
  });

  it("show an unlinked blob at once, in its repository alone", async () => {
    const bytes = Buffer.from("a blob");
    const digest = digestOf(bytes);
    for (const repository of [name, "other"]) await pushBlob(server.client, repository, bytes);
    const other = async () => (await fetch(`${server.url}/v2/other/blobs/${digest}`, { method: "HEAD" })).status;
    for (let n = 0; n < 3; n += 1)
      expect([await ask(`blobs/${digest}`, "HEAD"), await other()]).to.deep.equal([digest, 200]);
    await server.client.expect([202], "DELETE", `/v2/${name}/blobs/${digest}`);
    expect([await ask(`blobs/${digest}`, "HEAD"), await other()]).to.deep.equal([404, 200]);
    await pushBlob(server.client, name, bytes);
    expect(await ask(`blobs/${digest}`, "HEAD")).to.equal(digest);
  });

  it("never show a tag as it was before an acknowledged push", async function () {
    this.timeout(180_000);
    const random = seededRandom(this);
    const pushed = await manifests(8);
    const order = pushed.map((manifest) => digestOf(JSON.stringify(manifest)));
    await pushManifest(server.client, name, "raced", pushed[0]!);
    /** The tag's history; what is acknowledged of it, no reader who begins later may miss. */
    const history = [order[0]!];
    let acknowledged = 0;
    const over = new AbortController();
    let reads = 0;
    const seen = new Set<number>();
    const reader = async () => {
      const agent = new Agent({ keepAlive: true });
      while (!over.signal.aborted) {
        const floor = acknowledged;
        const digest = await tagged(agent, random(2) === 0 ? "GET" : "HEAD");
        const current = history.lastIndexOf(digest);
        expect(current, `${digest} after ${floor} of ${history.length}`).to.be.at.least(floor);
        seen.add(current);
        reads += 1;
      }
      agent.destroy();
    };
    const tagged = async (agent: Agent, method: string) => {
      const { port } = server;
      const asked = request({ agent, method, host: "127.0.0.1", port, path: `/v2/${name}/manifests/raced` }).end();
      const [answer] = (await once(asked, "response")) as [IncomingMessage];
      answer.resume();
      await once(answer, "end");
      return String(answer.headers["docker-content-digest"]);
    };
    const readers = Promise.all(Array.from({ length: 8 }, reader)).finally(() => {
      over.abort();
    });
    readers.catch(() => undefined);
    for (let step = 1; step <= 150; step += 1) {
      // Never what it was shortly before, so that what is out of date can be told from what is new again.
      const next = step % pushed.length;
      history.push(order[next]!);
      await pushManifest(server.client, name, "raced", pushed[next]!);
      acknowledged = step;
      const enough = reads + random(20);
      while (reads < enough && !over.signal.aborted) await setImmediate();
    }
    over.abort();
    await readers;
    expect(seen.size).to.be.greaterThan(50);
  });

  async function manifests(count: number): Promise<object[]> {
    const image = await imageManifest(server.client, name, "image");
    return Array.from({ length: count }, (_, number) => ({ ...image, annotations: { number: String(number) } }));
  }
});
