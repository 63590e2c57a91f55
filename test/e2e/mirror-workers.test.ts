import type { IncomingMessage } from "node:http";
import { readFile } from "node:fs/promises";
import { buffer } from "node:stream/consumers";
import { expect } from "chai";
import { FaultyUpstream } from "../support/faulty-upstream.ts";
import { imageManifest, pullImage, pushBlob, pushManifest } from "../support/oci-image.ts";
import { until } from "../support/program.ts";
import { RegistryProcess } from "../support/registry-process.ts";
import { startRegistry, type RegistryServer } from "../support/registry-server.ts";

describe("a mirror of two workers", function () {
  this.timeout(180_000);
  let source: RegistryServer;
  let upstream: FaultyUpstream;
  let mirror: RegistryProcess;
  let count = 0;

  before(async () => {
    source = await startRegistry();
    upstream = await FaultyUpstream.start(source.url);
    mirror = await RegistryProcess.start(["workers: 2", `mirroring: { source: '${upstream.url}', tags_cache_ttl: 0 }`]);
    await until("both workers", () => mirror.output.split('"msg":"listening on').length > 2);
  });

  beforeEach(() => {
    upstream.calm();
  });

  after(async () => {
    await mirror.remove();
    await upstream.stop();
    await source.close();
  });

  async function freshBlob(size = 3_000_000) {
    const bytes = Buffer.alloc(size, `blob ${++count} `);
    const { digest } = await pushBlob(source.client, "foo/app", bytes);
    return { bytes, digest, path: `/v2/foo/app/blobs/${digest}` };
  }

  /** Opens connections of their own, so that both workers are asked. */
  async function open(times: number, path: string): Promise<readonly IncomingMessage[]> {
    return await Promise.all(Array.from({ length: times }, async () => await mirror.client().open("GET", path)));
  }

  /** The workers that have answered something about the path. */
  function workersOf(path: string): number {
    const lines = mirror.output.split("\n").filter((line) => line.includes(`"path":"${path}"`));
    return new Set(lines.map((line) => /"worker":(\d)/.exec(line)?.[1])).size;
  }

  it("fetches each blob once for all clients of both, who see it as it comes", async () => {
    const { bytes, path } = await freshBlob();
    upstream.hold(1_000_000);
    const early = await open(15, path);
    const late = await open(15, path);
    const first = await Promise.all([...early, ...late].map(async (answer) => (await answer.iterator({ destroyOnReturn: false }).next()).value as Buffer)); // prettier-ignore
    expect(upstream.passed).to.equal(1_000_000);
    upstream.release();
    for (const [index, answer] of [...early, ...late].entries()) {
      expect(Buffer.concat([first[index] ?? Buffer.alloc(0), await buffer(answer)]).equals(bytes)).to.equal(true);
    }
    expect(upstream.requests).to.deep.equal([`GET ${path}`]);
    await until("the log", () => workersOf(path) === 2);
  });

  it("asks once for each manifest and blob of an image that 50 clients pull at the same time", async () => {
    await pushManifest(source.client, "foo/image", "v1", await imageManifest(source.client, "foo/image", "one"));
    await Promise.all(Array.from({ length: 50 }, async () => { await pullImage(mirror.client(), "foo/image", "v1"); })); // prettier-ignore
    const asked = upstream.requests.filter((line) => line.includes("/blobs/") || line.startsWith("GET "));
    expect(asked).to.have.length(new Set(asked).size);
  });

  it("never gives the end of what is corrupted, in either", async () => {
    const { bytes, path } = await freshBlob();
    upstream.fault = { corrupt: true };
    const ends = await Promise.all(
      (await open(10, path)).map(
        async (answer) =>
          await buffer(answer).then(
            () => (answer.statusCode === 200 ? "whole" : "broken"),
            () => "broken",
          ),
      ),
    );
    expect(new Set(ends)).to.deep.equal(new Set(["broken"]));
    upstream.calm();
    expect((await mirror.client().expect([200], "GET", path)).body.equals(bytes)).to.equal(true);
  });

  it("goes on with what a worker fetched that has died", async () => {
    const { bytes, path } = await freshBlob();
    upstream.hold(1_000_000);
    const answers = await open(12, path);
    const workers = (await readFile(`/proc/${mirror.pid}/task/${mirror.pid}/children`, "utf8")).trim().split(" ");
    process.kill(Number(workers[0]), "SIGKILL");
    upstream.release();
    const ends = await Promise.all(answers.map(async (answer) => await buffer(answer).then((body) => body.equals(bytes), () => "cut"))); // prettier-ignore
    // Those of the dead one are cut.
    expect(new Set(ends)).to.deep.equal(new Set([true, "cut"]));
    expect((await mirror.client().expect([200], "GET", path)).body.equals(bytes)).to.equal(true);
  });
});
