import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import { DockerRegistry } from "../../support/docker-registry.ts";
import { digestOf, imageType, pushBlob } from "../../support/oci-image.ts";
import { until } from "../../support/program.ts";
import { RegistryProcess } from "../../support/registry-process.ts";
import type { V1Client } from "../../support/v1-client.ts";

const manifestOf = (text: string, config?: object): Buffer =>
  Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: imageType, layers: [], annotations: { text }, config }));

describe("two servers on one folder", function () {
  this.timeout(300_000);
  const registries: RegistryProcess[] = [];
  afterEach(async () => {
    for (const registry of registries.splice(0).reverse()) await registry.remove();
  });

  async function start(options: readonly string[] = [], store?: string): Promise<RegistryProcess> {
    const registry = await RegistryProcess.start(options, store);
    registries.push(registry);
    return registry;
  }

  /** What a server says of others since its start, in order. */
  function told(registry: RegistryProcess): readonly string[] {
    return [...registry.output.matchAll(/(another|no other) server works on this storage_path/g)].map(
      ([, who = ""]) => who,
    );
  }

  async function put(client: V1Client, tag: string, text: string, config?: object): Promise<string> {
    const bytes = manifestOf(text, config);
    await client.expect([201], "PUT", `/v2/both/manifests/${tag}`, {
      headers: { "Content-Type": imageType },
      body: bytes,
    });
    return digestOf(bytes);
  }

  async function seen(client: V1Client, tag: string): Promise<readonly [number, unknown]> {
    const { status, headers } = await client.send("HEAD", `/v2/both/manifests/${tag}`, {
      headers: { Accept: imageType },
    });
    return [status, headers["docker-content-digest"]];
  }

  it("see each other's tags at once, and the one that stays is alone again", async () => {
    const first = await start();
    const [one, digest] = [first.client(), await put(first.client(), "latest", "alone")];
    // What it may remember, before the other comes.
    for (let turn = 0; turn < 3; turn++) expect(await seen(one, "latest")).to.deep.equal([200, digest]);
    const second = await start(["workers: 2"], first.store);
    const other = second.client();
    await until("both workers", () => second.output.split('"msg":"listening').length > 2);
    await until("both to tell of it", () => told(first).length > 0 && told(second).length > 0);
    expect([told(first), told(second)]).to.deep.equal([["another"], ["another"]]);
    for (let round = 0; round < 20; round++) {
      const [writer, reader] = round % 2 === 0 ? [other, one] : [one, other];
      const now = await put(writer, "latest", `round ${round}`);
      for (const client of [reader, other, writer]) expect(await seen(client, "latest")).to.deep.equal([200, now]);
      await put(writer, `t${round}`, "listed");
      const { body } = await reader.expect([200], "GET", "/v2/both/tags/list");
      expect((JSON.parse(body.toString()) as { tags: string[] }).tags).to.include(`t${round}`);
      await writer.expect([202], "DELETE", `/v2/both/manifests/t${round}`);
      expect((await seen(reader, `t${round}`))[0]).to.equal(404);
    }
    await first.stop();
    await until("the second to be alone", () => told(second).at(-1) === "no other");
    const last = await put(other, "latest", "alone again");
    for (let turn = 0; turn < 4; turn++) expect(await seen(other, "latest")).to.deep.equal([200, last]);
  });

  it("is one after the first was killed: it starts at once and has the store for itself", async () => {
    for (const workers of [1, 2]) {
      const first = await start([`workers: ${workers}`]);
      await put(first.client(), "latest", "before");
      await first.kill();
      await until("its workers to end", async () => !(await runs(first.configFile)));
      await first.restart();
      expect(told(first)).to.deep.equal([]);
      expect(await seen(first.client(), "latest")).to.deep.equal([200, digestOf(manifestOf("before"))]);
      await until("all workers", () => first.output.split('"msg":"listening').length > workers);
      expect(await readdir(join(first.store, "_registryctl/servers"))).to.have.length(workers);
      await first.stop();
      expect(await readdir(join(first.store, "_registryctl/servers"))).to.deep.equal([]);
    }
  });

  /** Whether any process has been started with this configuration. */
  async function runs(file: string): Promise<boolean> {
    const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
    const commands = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")));
    return commands.some((command) => command.includes(file));
  }

  it("see each other's tags at once where one is docker-registry and the configuration says so", async function () {
    const ours = await start(["shared: true"]);
    expect(ours.output).to.match(/"info".*"reason":"shared is on".*others may use this storage_path/);
    const theirs = await DockerRegistry.start(this, ours.store);
    try {
      for (let round = 0; round < 10; round++) {
        const [writer, reader] = round % 2 === 0 ? [theirs.client, ours.client()] : [ours.client(), theirs.client];
        const config = await pushBlob(writer, "both", Buffer.from("{}"), "application/json");
        const now = await put(writer, "latest", `round ${round}`, config);
        expect(await seen(reader, "latest")).to.deep.equal([200, now]);
      }
    } finally {
      await theirs.stop();
    }
  });
});
