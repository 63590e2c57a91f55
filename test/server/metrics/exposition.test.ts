import { buffer } from "node:stream/consumers";
import { expect } from "chai";
import { exposeMetrics } from "../../../src/server/metrics/exposition.ts";
import type { RunningServer } from "../../../src/server/server.ts";
import { FaultyUpstream } from "../../support/faulty-upstream.ts";
import { Metrics } from "../../support/metrics.ts";
import { imageManifest, pushBlob, pushManifest } from "../../support/oci-image.ts";
import { startRegistry, type RegistryServer } from "../../support/registry-server.ts";
import { smallChain } from "../../support/v1-images.ts";

describe("metrics", () => {
  let source: RegistryServer;
  let upstream: FaultyUpstream;
  let mirror: RegistryServer;
  let exposition: RunningServer;

  before(async () => {
    source = await startRegistry();
    upstream = await FaultyUpstream.start(source.url);
    mirror = await startRegistry({ mirroring: { source: upstream.url, tags_cache_ttl: 0 }, metrics: { port: 0 } });
    exposition = await exposeMetrics({ host: "127.0.0.1", port: 0 }, async () => [(await mirror.metrics?.()) ?? []]);
  });

  afterEach(() => {
    upstream.calm();
  });

  after(async () => {
    await exposition.close(0);
    await mirror.close();
    await upstream.stop();
    await source.close();
  });

  const host = () => new URL(upstream.url).host;
  const counted = async (...parts: string[]) => (await Metrics.at(exposition.url)).sum(...parts);

  it("are none where they are not wanted, and nowhere at the registry's own address", async () => {
    expect(source.metrics).to.equal(undefined);
    for (const registry of [source, mirror]) {
      for (const path of ["/metrics", "/v1/metrics", "/v2/metrics"]) await registry.client.expect([404], "GET", path);
    }
  });

  it("are shown at one path, to be read alone", async () => {
    const at = (path: string, method = "GET") => fetch(new URL(path, exposition.url), { method });
    const answer = await at("/metrics?a=b");
    expect([answer.status, answer.headers.get("content-type")]).to.deep.equal([200, "text/plain; version=0.0.4; charset=utf-8"]); // prettier-ignore
    expect(await (await at("/metrics", "HEAD")).text()).to.equal("");
    for (const [path, method] of [["/"], ["/v2/"], ["/metrics/x"], ["/metrics", "POST"]] as const) {
      expect((await at(path, method)).status, path).to.equal(404);
    }
  });

  it("need a port that is free, and say which option is meant", async () => {
    const { port } = new URL(exposition.url);
    const error: unknown = await exposeMetrics({ host: "127.0.0.1", port: Number(port) }, async () => await Promise.resolve([])).catch((reason: unknown) => reason); // prettier-ignore
    expect(String(error)).to.contain("metrics.port").and.not.contain("http.port");
  });

  it("count every request by method, route and status, without names of clients' choice", async () => {
    await mirror.client.push("foo/secret-name", "secret-tag", await smallChain(2));
    await mirror.client.pull("foo/secret-name", "secret-tag");
    const bytes = Buffer.from("secret content");
    const { digest } = await pushBlob(mirror.client, "foo/secret-name", bytes);
    await pushManifest(mirror.client, "foo/secret-name", "secret-v2", await imageManifest(mirror.client, "foo/secret-name", "x")); // prettier-ignore
    for (let time = 0; time < 3; time++) await mirror.client.send("GET", "/v2/foo/secret-name/manifests/secret-v2");
    await mirror.client.expect([200], "GET", `/v2/foo/secret-name/blobs/${digest}`);
    const duration = "registryctl_http_request_duration_seconds_count";
    const manifests = 'method="GET",route="/v2/{name}/manifests/{reference}",status="2xx"';
    const metrics = await Metrics.until(exposition.url, 3, duration, manifests);
    expect(metrics.sum("registryctl_http_request_duration_seconds_bucket", 'le="+Inf"', manifests)).to.equal(3);
    expect(metrics.sum(duration, 'route="/v1/images/{id}/layer",status="2xx"')).to.equal(4);
    // The three paths of the test before this one.
    expect(metrics.sum(duration, 'route="other"')).to.equal(3);
    expect(metrics.text).not.to.match(/secret|sha256:|[0-9a-f]{64}/);
    expect(metrics.sum("registryctl_http_received_bytes_total")).to.be.greaterThan(bytes.length);
    expect(metrics.sum("registryctl_http_sent_bytes_total")).to.be.greaterThan(bytes.length);
    expect(metrics.sum("registryctl_uploads_in_progress") + metrics.sum("registryctl_http_requests_in_progress")).to.equal(0); // prettier-ignore
    expect(metrics.sum("process_resident_memory_bytes")).to.be.greaterThan(1_000_000);
    expect(metrics.sum('registryctl_build_info{version="9.9.9"}')).to.equal(1);
  });

  it("count what the storage was asked for, and what was remembered of it", async () => {
    const operations = 'registryctl_storage_operation_duration_seconds_count{driver="memory"';
    // As a client of V1 it is answered in another way.
    for (let time = 0; time < 2; time++) await fetch(new URL("/v2/foo/secret-name/manifests/secret-v2", mirror.url));
    const metrics = await Metrics.at(exposition.url);
    expect(metrics.sum(operations, 'operation="write",result="ok"')).to.be.greaterThan(5);
    expect(metrics.sum(operations, 'result="not_found"')).to.be.greaterThan(0);
    expect(metrics.sum('registryctl_storage_bytes_total{driver="memory",operation="write"}')).to.be.greaterThan(100);
    expect(metrics.sum('registryctl_cache_lookups_total{cache="memory",result="hit"}')).to.be.greaterThan(0);
    expect(metrics.sum("registryctl_http_repeated_answers_total")).to.be.greaterThan(0);
  });

  it("tell of uploads in progress while they are", async () => {
    const begun = await mirror.client.expect([202], "POST", "/v2/foo/app/blobs/uploads/");
    let end = (): void => undefined;
    const ended = new Promise<void>((resolve) => (end = resolve));
    const body = async function* () {
      yield Buffer.from("first");
      await ended;
    };
    const location = String(begun.headers.location);
    const sending = fetch(new URL(location, mirror.url), { method: "PATCH", body: body(), duplex: "half" } as never);
    await Metrics.until(exposition.url, 1, "registryctl_uploads_in_progress");
    end();
    await sending;
    await Metrics.until(exposition.url, 0, "registryctl_uploads_in_progress");
  });

  it("count bytes that came, and fetches that clients shared", async () => {
    const bytes = Buffer.alloc(100_000, "shared");
    const { digest } = await pushBlob(source.client, "foo/app", bytes);
    const path = `/v2/foo/app/blobs/${digest}`;
    const before = await counted("registryctl_mirror_fetched_bytes_total");
    upstream.hold(50_000);
    const clients = await Promise.all(Array.from({ length: 3 }, async () => await mirror.client.open("GET", path)));
    upstream.release();
    for (const client of clients) await buffer(client);
    expect(await counted("registryctl_mirror_fetched_bytes_total")).to.equal(before + bytes.length);
    expect(await counted("registryctl_mirror_shared_fetches_total")).to.equal(2);
  });

  it("count what a mirror asks for, what it is allowed, and what it gives without", async () => {
    for (const tag of ["v1", "v2"])
      await pushManifest(source.client, "foo/app", tag, await imageManifest(source.client, "foo/app", tag));
    upstream.headers = { "ratelimit-limit": "100;w=21600", "ratelimit-remaining": "76;w=21600" };
    await mirror.client.expect([200], "GET", "/v2/foo/app/manifests/v1");
    expect(await counted(`registryctl_mirror_rate_limit{upstream="${host()}"}`)).to.equal(100);
    expect(await counted(`registryctl_mirror_rate_limit_remaining{upstream="${host()}"}`)).to.equal(76);
    const inAnHour = Math.round(Date.now() / 1000) + 3600;
    upstream.headers = { "x-ratelimit-limit": "60", "x-ratelimit-remaining": "59", "x-ratelimit-reset": String(inAnHour) }; // prettier-ignore
    await mirror.client.expect([200], "GET", "/v2/foo/app/manifests/v2");
    expect(await counted("registryctl_mirror_rate_limit_remaining")).to.equal(59);
    expect(await counted("registryctl_mirror_rate_limit_reset_timestamp_seconds")).to.equal(inAnHour);
    const asked = `registryctl_mirror_upstream_requests_total{upstream="${host()}",to="registry"`;
    const before = await counted(asked, 'status="429"');
    upstream.substitute = { status: 429, headers: { "Retry-After": "1" } };
    const { headers } = await mirror.client.expect([200], "GET", "/v2/foo/app/manifests/v1");
    expect(headers["warning"]).to.contain("allows no more");
    expect(await counted(asked, 'status="429"')).to.equal(before + 1);
    expect(await counted("registryctl_mirror_stale_answers_total")).to.equal(1);
  });
});
