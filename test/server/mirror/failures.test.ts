import { expect } from "chai";
import { FaultyUpstream } from "../../support/faulty-upstream.ts";
import { imageManifest, pushBlob, pushManifest } from "../../support/oci-image.ts";
import { until } from "../../support/program.ts";
import { startRegistry, type RegistryServer } from "../../support/registry-server.ts";
import { TcpProxy } from "../../support/tcp-proxy.ts";

describe("a mirror whose upstream fails", () => {
  const manifest = "/v2/foo/app/manifests/v1";
  const cold = "/v2/foo/app/manifests/cold";
  let source: RegistryServer;
  let upstream: FaultyUpstream;
  let network: TcpProxy;
  let mirror: RegistryServer;
  let blob: string;
  let digest: string;

  beforeEach(async () => {
    source = await startRegistry();
    upstream = await FaultyUpstream.start(source.url);
    network = await TcpProxy.start(upstream.port);
    mirror = await startRegistry({ mirroring: { source: `http://127.0.0.1:${network.port}`, tags_cache_ttl: 0 } });
    const image = await imageManifest(source.client, "foo/app", "one");
    for (const tag of ["v1", "cold"]) ({ digest } = await pushManifest(source.client, "foo/app", tag, image));
    blob = `/v2/foo/app/blobs/${(await pushBlob(source.client, "foo/app", Buffer.from("cold"))).digest}`;
    await mirror.client.expect([200], "GET", manifest);
    upstream.calm();
  });

  afterEach(async () => {
    await mirror.close();
    await network.stop();
    await upstream.stop();
    await source.close();
  });

  const expectStale = async (reason: string) => {
    const { headers } = await mirror.client.expect([200], "GET", manifest);
    expect(headers["docker-content-digest"]).to.equal(digest);
    expect(headers["warning"])
      .to.match(/^111 registryctl ".*"$/)
      .and.contain(reason);
    const line = mirror.log.find((each) => each.includes("A tag is served as it last was"));
    expect(JSON.parse(line ?? "{}")).to.deep.include({ level: "warn", repository: "foo/app", tag: "v1" });
  };

  const expectRefused = async (status: number, text: string, paths = [cold, blob]) => {
    for (const path of paths) {
      const answer = await mirror.client.expect([status], "GET", path);
      const [error] = (JSON.parse(answer.body.toString()) as { errors: { code: string; message: string }[] }).errors;
      expect(error?.message, path).to.contain(text);
    }
  };

  const expectRecovery = async () => {
    await until("the mirror to trust it again", async () => {
      const { status, headers } = await mirror.client.send("GET", manifest);
      return status === 200 && headers["warning"] === undefined;
    });
    await mirror.client.expect([200], "GET", cold);
    await mirror.client.expect([200], "GET", blob);
  };

  it("is down: serves what it has with a warning, and else says so", async () => {
    network.mode = "refuse";
    network.cutAll();
    await expectStale("can't be reached");
    await expectRefused(502, "can't be reached");
    await mirror.client.expect([404], "HEAD", blob);
    await pushManifest(mirror.client, "foo/app", "pushed", await imageManifest(mirror.client, "foo/app", "pushed"));
    network.calm();
    await expectRecovery();
  });

  it("answers 500", async () => {
    upstream.substitute = { status: 500 };
    await expectStale("answers 500");
    await expectRefused(502, "answers 500");
    upstream.calm();
    await expectRecovery();
  });

  it("answers 429: is left alone for as long as it says, and clients are told", async () => {
    upstream.substitute = { status: 429, headers: { "Retry-After": "6" } };
    const asking = Date.now();
    await expectStale("allows no more requests");
    const asked = upstream.requests.length;
    const { headers, body } = await mirror.client.expect([429], "GET", cold);
    const passed = Math.ceil((Date.now() - asking) / 1000);
    expect(Number(headers["retry-after"]), "what is left of it").to.be.within(6 - passed, 6);
    expect(body.toString()).to.contain("TOOMANYREQUESTS");
    expect(upstream.requests.length).to.equal(asked);
    upstream.calm();
    await expectRecovery();
  });

  it("lets nobody in", async () => {
    upstream.substitute = { status: 403 };
    await expectStale("does not let us in");
    await expectRefused(404, "does not let us in");
    upstream.calm();
    await expectRecovery();
  });

  it("has lost what it had: 404 stays 404, and is not remembered", async () => {
    upstream.substitute = { status: 404 };
    await mirror.client.expect([404], "GET", manifest);
    await mirror.client.expect([404], "GET", blob);
    upstream.calm();
    await expectRecovery();
  });

  it("cuts manifests in the middle, and connections of blobs at TCP", async () => {
    const bytes = Buffer.alloc(4_000_000, "x");
    const { digest: large } = await pushBlob(source.client, "foo/app", bytes);
    network.cutAfter("down", bytes.length / 2);
    const { body } = await mirror.client.expect([200], "GET", `/v2/foo/app/blobs/${large}`);
    expect(body.equals(bytes)).to.equal(true);
    network.cutAll();
    network.cutAfter("down", 200);
    await expectRefused(502, "cut", [cold]);
    network.calm();
    await expectRecovery();
  });

  it("is slow while the mirror closes, which gives up what is on its way and keeps nothing of it", async () => {
    const closing = await startRegistry({ mirroring: { source: upstream.url } });
    const bytes = Buffer.alloc(3_000_000, "y");
    const { digest: large } = await pushBlob(source.client, "foo/app", bytes);
    upstream.hold(1_000_000);
    const answer = await closing.client.open("GET", `/v2/foo/app/blobs/${large}`);
    const ended = new Promise((resolve) =>
      answer
        .once("close", resolve)
        .on("error", () => undefined)
        .resume(),
    );
    await closing.close();
    await ended;
    expect(answer.complete).to.equal(false);
    expect(closing.log.filter((line) => line.includes("could not be kept"))).to.deep.equal([]);
  });

  it("can't be found: DNS does not know its name", async () => {
    const lost = await startRegistry({ mirroring: { source: "http://registry.invalid" } });
    try {
      const { body } = await lost.client.expect([502], "GET", manifest);
      expect(body.toString()).to.contain("DNS");
    } finally {
      await lost.close();
    }
  });

  it("tells how many requests it still allows: the log has it", async () => {
    upstream.headers = { "ratelimit-limit": "100;w=21600", "ratelimit-remaining": "7;w=21600" };
    await mirror.client.expect([200], "GET", cold);
    const line = mirror.log.find((each) => each.includes("still allows"));
    expect(JSON.parse(line ?? "{}")).to.deep.include({ level: "warn", limit: 100, remaining: 7 });
  });

  it("lists the tags that are here, with a warning", async () => {
    network.mode = "refuse";
    network.cutAll();
    const { headers, body } = await mirror.client.expect([200], "GET", "/v2/foo/app/tags/list");
    expect(JSON.parse(body.toString())).to.deep.equal({ name: "foo/app", tags: ["v1"] });
    expect(headers["warning"]).to.contain("can't be reached");
    await mirror.client.expect([502], "GET", "/v2/foo/other/tags/list");
  });
});
