import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { expect } from "chai";
import { checkStore } from "../../support/blob-store-check.ts";
import { digestOf, imageType, pushBlob } from "../../support/oci-image.ts";
import { until } from "../../support/program.ts";
import { RawConnection } from "../../support/raw-connection.ts";
import { RegistryProcess } from "../../support/registry-process.ts";
import type { V1Client } from "../../support/v1-client.ts";

const put = (bytes: Buffer) => ({ headers: { "Content-Type": imageType }, body: bytes });
const manifestOf = (fields: object): Buffer =>
  Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: imageType, layers: [], ...fields }));

describe("two workers on one store", function () {
  this.timeout(300_000);
  let registry: RegistryProcess;
  let client: V1Client;
  before(async () => {
    registry = await RegistryProcess.start(["workers: 2"]);
    client = registry.client();
    await until("both workers", async () => (await workers()).length === 2);
    await until("the second worker to listen", () => registry.output.split('"msg":"listening').length > 2);
  });
  after(async () => {
    await registry.remove();
  });

  /** Numbers of the processes that serve. */
  async function workers(): Promise<readonly number[]> {
    const children = await readFile(`/proc/${registry.pid}/task/${registry.pid}/children`, "utf8");
    const numbers = children.trim().split(/\s+/).filter(Boolean).map(Number);
    const commands = await Promise.all(numbers.map(async (pid) => await readFile(`/proc/${pid}/cmdline`, "utf8")));
    return numbers.filter((_, at) => commands[at]?.includes("registryctl"));
  }

  /** Connections go to the workers in turn: of two, each gets one. */
  async function both(method: string, path: string): Promise<readonly [number, string][]> {
    const one = async (): Promise<[number, string]> => {
      const { status, headers } = await client.send(method, path);
      return [status, String(headers["docker-content-digest"])];
    };
    return [await one(), await one()];
  }

  it("see what either of them writes to a tag, at once", async () => {
    const manifests = ["one", "two", "three"].map((text) => manifestOf({ annotations: { text } }));
    for (let round = 0; round < 100; round++) {
      const bytes = manifests[round % 3]!;
      await client.expect([201], "PUT", "/v2/seen/manifests/latest", put(bytes));
      expect(await both("GET", "/v2/seen/manifests/latest"), `round ${round}`).to.deep.equal([
        [200, digestOf(bytes)],
        [200, digestOf(bytes)],
      ]);
      if (round % 10 !== 9) continue;
      await client.expect([202], "DELETE", "/v2/seen/manifests/latest");
      expect((await both("HEAD", "/v2/seen/manifests/latest")).map(([status]) => status)).to.deep.equal([404, 404]);
      await client.expect([202], "DELETE", `/v2/seen/manifests/${digestOf(bytes)}`);
      const gone = await both("HEAD", `/v2/seen/manifests/${digestOf(bytes)}`);
      expect(gone.map(([status]) => status)).to.deep.equal([404, 404]);
    }
  });

  it("list a tag or a repository as soon as it is pushed", async () => {
    for (let round = 0; round < 20; round++) {
      await client.expect([201], "PUT", `/v2/listed/r${round}/manifests/t${round}`, put(manifestOf({})));
      for (let turn = 0; turn < 2; turn++) {
        const tags = await client.expect([200], "GET", `/v2/listed/r${round}/tags/list`);
        expect(JSON.parse(tags.body.toString())).to.deep.equal({ name: `listed/r${round}`, tags: [`t${round}`] });
        const catalog = await client.expect([200], "GET", "/v2/_catalog");
        expect((JSON.parse(catalog.body.toString()) as { repositories: string[] }).repositories).to.include(
          `listed/r${round}`,
        );
      }
    }
  });

  it("take what is pushed several times at once, without an error", async () => {
    for (let round = 0; round < 15; round++) {
      const [layer, name] = [randomBytes(30_000), `together/${round % 3}`];
      const pushers = Array.from({ length: 8 }, async (_, at) => {
        const digest = digestOf(layer);
        if (at % 2 === 0) await pushBlob(client, name, layer);
        else await client.expect([201], "POST", `/v2/${name}/blobs/uploads/?digest=${digest}`, { body: layer });
        const bytes = manifestOf({ layers: [{ mediaType: "text/plain", digest, size: layer.length }] });
        await client.expect(
          [201],
          "PUT",
          `/v2/${name}/manifests/${at % 3 === 0 ? digestOf(bytes) : "latest"}`,
          put(bytes),
        );
        return digestOf(bytes);
      });
      const [manifest] = await Promise.all(pushers);
      expect(await both("GET", `/v2/${name}/manifests/latest`)).to.deep.equal([[200, manifest], [200, manifest]]); // prettier-ignore
      const found = await client.expect([200], "GET", `/v2/${name}/blobs/${digestOf(layer)}`);
      expect(found.body.equals(layer)).to.equal(true);
    }
    await checkStore(registry.store);
  });

  it("lose no upload but those on the sockets of the one that dies, which is replaced", async () => {
    const halves = [randomBytes(40_000), randomBytes(40_000)];
    const bytes = Buffer.concat(halves);
    const uploads = await Promise.all(
      Array.from({ length: 8 }, async () => {
        const { headers } = await client.expect([202], "POST", "/v2/dying/blobs/uploads/");
        const location = headers.location ?? "";
        await client.expect([202], "PATCH", location, { body: halves[0]! });
        return location;
      }),
    );
    const sockets: RawConnection[] = [];
    for (const location of uploads) {
      const head = `PATCH ${location} HTTP/1.1\r\nHost: x\r\nContent-Length: 40000\r\nExpect: 100-continue\r\n\r\n`;
      const socket = await RawConnection.open(registry.port, head);
      await socket.until("100 Continue");
      socket.send(halves[1]!.subarray(0, 10_000));
      sockets.push(socket);
    }
    const [victim = 0, ...others] = await workers();
    process.kill(victim, "SIGKILL");
    const outcomes = await Promise.all(
      sockets.map(async (socket) => {
        socket.send(halves[1]!.subarray(10_000));
        return await Promise.race([socket.until("HTTP/1.1 202"), socket.rest()]);
      }),
    );
    const alive = outcomes.map((text) => text.includes("HTTP/1.1 202"));
    expect(alive.filter(Boolean), "half of the sockets were the other worker's").to.have.length(4);
    for (const socket of sockets) socket.close();

    for (const [at, location] of uploads.entries()) {
      const { headers } = await client.expect([204], "GET", location);
      expect(headers.range, `upload ${at}`).to.equal(alive[at] ? "0-79999" : "0-39999");
      const rest = alive[at] ? Buffer.alloc(0) : halves[1]!;
      await client.expect([201], "PUT", `${location}?digest=${digestOf(bytes)}`, { body: rest });
    }
    await until("a new worker", async () => {
      const now = await workers();
      return now.length === 2 && !now.includes(victim) && now.includes(others[0] ?? 0);
    });
    await until("the new worker to listen", () => registry.output.split('"msg":"listening').length > 3);
    const found = await client.expect([200], "GET", `/v2/dying/blobs/${digestOf(bytes)}`);
    expect(found.body.equals(bytes)).to.equal(true);
    for (let turn = 0; turn < 4; turn++) await pushBlob(client, "dying", randomBytes(1000));
    await checkStore(registry.store);
  });
});
