import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { expect } from "chai";
import { succeeds } from "../support/cli.ts";
import { failureOf } from "../support/client-suite.ts";
import { ContainerTools, needsContainerTools } from "../support/container-tools.ts";
import { endOfSuite } from "../support/end-of-suite.ts";
import { writeImage } from "../support/image-layout.ts";
import { needs } from "../support/needs.ts";
import { Nginx } from "../support/nginx.ts";
import { digestOf, imageType, pushBlob } from "../support/oci-image.ts";
import { PostgresServer, postgresPrograms } from "../support/postgres.ts";
import { freePort, removeFolder, temporaryFolder, until } from "../support/program.ts";
import { RadosGateway } from "../support/radosgw.ts";
import { seededRandom, type Random } from "../support/random.ts";
import { RedisServer } from "../support/redis.ts";
import { RegistryProcess } from "../support/registry-process.ts";
import { s3Flavor } from "../support/s3-server.ts";
import { smallChain } from "../support/v1-images.ts";
import { V1Client, type V1Image } from "../support/v1-client.ts";

/** How often a client tries until it gives up, as docker and skopeo do. */
const attempts = 10;

describe("two servers on one bucket, with PostgreSQL and Redis, behind nginx", function () {
  this.timeout(300_000);
  const servers: RegistryProcess[] = [];
  let address = "";
  /** Through nginx; the others ask one of the servers. */
  let client: V1Client;
  let tools: ContainerTools;
  const atEnd = endOfSuite();

  before(async function () {
    needs(this, "nginx", ...postgresPrograms);
    needsContainerTools(this, "skopeo");
    const s3 = await RadosGateway.start(this);
    atEnd(() => s3.stop());
    const redis = await RedisServer.start(this);
    atEnd(() => redis.stop());
    const postgres = await PostgresServer.start();
    atEnd(() => postgres.destroy());
    const { host, port, db } = redis.settings;
    const flavor = [
      ...s3Flavor(s3, await s3.newBucket()),
      "search_backend: database",
      `sqlalchemy_index_database: ${postgres.url()}`,
      `cache: { host: ${host}, port: ${port}, db: ${db} }`,
      `cache_lru: { host: ${host}, port: ${port}, db: ${db} }`,
    ];
    for (let index = 0; index < 2; index++) {
      const server = await RegistryProcess.start(flavor);
      atEnd(() => server.remove());
      servers.push(server);
    }
    address = `127.0.0.1:${await startNginx()}`;
    client = new V1Client(`http://${address}`);
    tools = await ContainerTools.create({ address, authority: undefined });
    atEnd(() => tools.remove());
  });

  /** Has `gen-nginx` write the configuration for both servers; answers the port. */
  async function startNginx(): Promise<number> {
    const port = await freePort();
    const folder = await temporaryFolder("nginx");
    atEnd(() => removeFolder(folder));
    const upstreams = servers.flatMap((server) => ["--upstream", `127.0.0.1:${server.port}`]);
    const configuration = await succeeds([
      ...["gen-nginx", "--config", server(0).configFile, "--flavor", "e2e"],
      ...["--listen", "127.0.0.1", "--port", String(port), ...upstreams],
    ]);
    const ready = async () => (await fetch(`http://127.0.0.1:${port}/v2/`)).ok;
    const program = await new Nginx(join(folder, "nginx")).start(configuration, ready);
    atEnd(() => program.stop());
    return port;
  }

  const server = (index: number): RegistryProcess => servers[index % servers.length]!;

  /** The requests that a server has noted, as `METHOD path`. */
  const noted = ({ output }: RegistryProcess): readonly string[] =>
    output.split("\n").flatMap((line) => {
      if (!line.includes('"path":')) return [];
      const { method, path } = JSON.parse(line) as { method: string; path: string };
      return [`${method} ${path}`];
    });

  it("take requests in turns", async () => {
    const path = "/v2/in/turns/manifests/none";
    for (let turn = 0; turn < 20; turn++) await client.expect([404], "GET", path);
    const count = (index: number) => noted(server(index)).filter((line) => line === `GET ${path}`).length;
    await until("all to be noted", () => count(0) + count(1) === 20);
    expect([count(0), count(1)]).to.deep.equal([10, 10]);
  });

  it("take skopeo's pushes together, each of them parts of one upload, and give back what came", async () => {
    const { reference, digest } = await writeImage(tools.path("pushed"));
    await tools.skopeo("copy", reference, `docker://${address}/skopeo/app:v1`);
    const uploads = (index: number) =>
      new Set(noted(server(index)).filter((line) => line.includes("/skopeo/app/blobs/uploads/")).map(idOf)); // prettier-ignore
    const idOf = (line: string): string => line.split("/").at(-1) ?? "";
    await until("one upload at both", () => [...uploads(0)].some((id) => id !== "" && uploads(1).has(id)));
    for (const { port } of servers) {
      const { Digest } = JSON.parse(
        await tools.skopeo("inspect", "--tls-verify=false", `docker://127.0.0.1:${port}/skopeo/app:v1`),
      ) as { Digest: string };
      expect(Digest).to.equal(digest);
    }
    await tools.skopeo("copy", `docker://${address}/skopeo/app:v1`, `oci:${tools.path("pulled")}:v1`);
  });

  it("go on with each other's uploads, chunk by chunk", async () => {
    const chunks = Array.from({ length: 6 }, () => randomBytes(300_000));
    const digest = digestOf(Buffer.concat(chunks));
    const { headers } = await server(0).client().expect([202], "POST", "/v2/chunked/blobs/uploads/");
    const location = headers.location ?? "";
    let sent = 0;
    for (const [index, body] of chunks.entries()) {
      const range = { "Content-Range": `${sent}-${sent + body.length - 1}` };
      const [one, other] = [server(index + 1).client(), server(index).client()];
      await one.expect([202], "PATCH", location, { headers: range, body });
      sent += body.length;
      const state = await other.expect([204], "GET", location);
      expect(state.headers.range).to.equal(`0-${sent - 1}`);
      // What has come already is refused by both.
      await other.expect([416], "PATCH", location, { headers: range, body });
    }
    await server(1).client().expect([201], "PUT", `${location}?digest=${digest}`);
    for (const each of servers) {
      const { body } = await each.client().expect([200], "GET", `/v2/chunked/blobs/${digest}`);
      expect(digestOf(body)).to.equal(digest);
    }
    // Only the server that ended it knows that it was there; for the other it begins anew, and nothing is lost by that.
    await server(1).client().expect([404], "GET", location);
    expect((await server(0).client().expect([204], "GET", location)).headers.range).to.equal("0-0");
  });

  it("take V1's pushes together, serve them each, and V2's clients too", async () => {
    const chain = await smallChain(3);
    await client.push("old/app", "v1", chain);
    const digests = [];
    for (const each of servers) {
      expect((await each.client().pull("old/app", "v1")).map(({ id }) => id)).to.deep.equal(chain.map(({ id }) => id));
      const { headers } = await each.client().expect([200], "GET", "/v2/old/app/manifests/v1");
      digests.push(headers["docker-content-digest"]);
    }
    expect(digests[0]).to.equal(digests[1]);
  });

  it("find what either was given, until it is deleted", async () => {
    const found = async (index: number) => {
      const { body } = await server(index).client().expect([200], "GET", "/v1/search?q=looked");
      return (JSON.parse(body.toString()) as { results: { name: string }[] }).results.map(({ name }) => name);
    };
    await server(0)
      .client()
      .push("looked/old", "v1", await smallChain(1));
    expect(await found(1)).to.deep.equal(["looked/old"]);
    await putManifest(server(1).client(), "looked/new", "v1", "found");
    for (const index of [0, 1]) expect(await found(index)).to.deep.equal(["looked/new", "looked/old"]);
    await server(1).client().expect([200], "DELETE", "/v1/repositories/looked/old/");
    for (const index of [0, 1]) expect(await found(index)).to.deep.equal(["looked/new"]);
  });

  it("show each other's tags at once, hundreds of times, however they are read meanwhile", async function () {
    const random = seededRandom(this);
    const steps = 80;
    const lane = async (index: number): Promise<void> => {
      const path = `/v2/fresh/app/manifests/t${index}`;
      let digest: string | undefined;
      for (let step = 0; step < steps; step++) {
        const [writer, reader] = [server(index + step).client(), server(index + step + 1).client()];
        const meanwhile = reading(random, path);
        const deletes = digest !== undefined && random(4) === 0;
        const before = digest;
        if (deletes) await writer.expect([202], "DELETE", path);
        else digest = await putManifest(writer, "fresh/app", `t${index}`, `lane ${index}, step ${step}`);
        if (deletes) digest = undefined;
        expect(await digestAt(reader, path), `step ${step} of ${path}`).to.equal(digest);
        expect(await digestAt(client, path), `step ${step} of ${path}`).to.equal(digest);
        for (const seen of await meanwhile) expect([before, digest]).to.include(seen);
        if (step % 10 > 0) continue;
        const { body } = await reader.send("GET", "/v2/fresh/app/tags/list");
        const { tags = [] } = JSON.parse(body.toString()) as { tags?: readonly string[] };
        expect(tags.includes(`t${index}`)).to.equal(digest !== undefined);
      }
    };
    await Promise.all([lane(0), lane(1), lane(2), lane(3)]);
  });

  it("show each other's V1 tags at once, to V1 and V2", async function () {
    const random = seededRandom(this);
    const images = new Map<string, string | undefined>();
    for (const chain of [await smallChain(1), await smallChain(2)]) {
      await client.push("fresh/old", "latest", chain);
      images.set(chain.at(-1)!.id, await digestAt(client, "/v2/fresh/old/manifests/latest"));
    }
    const ids = [...images.keys()];
    const [v1, v2] = ["/v1/repositories/fresh/old/tags/moving", "/v2/fresh/old/manifests/moving"];
    for (let step = 0; step < 100; step++) {
      const [writer, reader] = [server(step).client(), server(step + 1).client()];
      const meanwhile = reading(random, v2);
      const id = ids[random(ids.length)]!;
      await writer.expect([200], "PUT", v1, { body: Buffer.from(JSON.stringify(id)) });
      const [named, digest] = await Promise.all([reader.expect([200], "GET", v1), digestAt(reader, v2)]);
      expect([JSON.parse(named.body.toString()), digest]).to.deep.equal([id, images.get(id)]);
      for (const seen of await meanwhile) expect([undefined, ...images.values()]).to.include(seen);
      if (random(5) > 0) continue;
      await writer.expect([200], "DELETE", v1);
      expect((await reader.send("GET", v1)).status).to.equal(404);
      expect(await digestAt(reader, v2)).to.equal(undefined);
    }
  });

  it("are one when the other is killed: nobody who only reads fails", async () => {
    const digest = await putManifest(client, "read/app", "v1", "there");
    for (const victim of servers) {
      await victim.kill();
      for (let turn = 0; turn < 20; turn++) {
        expect(await digestAt(client, "/v2/read/app/manifests/v1")).to.equal(digest);
      }
      await victim.restart();
    }
  });

  it("let all who push succeed, whichever is killed in the middle, and lose nothing", async function () {
    this.timeout(600_000);
    const random = seededRandom(this);
    const rounds = 6;
    const accounts: Account[] = [];
    const chains: { readonly name: string; readonly chain: readonly V1Image[] }[] = [];
    let [skopeoFailed, uploadsResumed, pushesRetried] = [0, 0, 0];
    const interrupted = (): number => uploadsResumed + pushesRetried + skopeoFailed;
    // Whether a kill meets somebody at work is chance.
    for (let round = 0; round < rounds || interrupted() === 0; round++) {
      const account = new Account();
      accounts.push(account);
      let done = 0;
      const v2 = Array.from({ length: 3 }, async (_, pusher) => {
        for (let push = 0; push < 6; push++) {
          const name = `killed/r${round}-${pusher}`;
          const { resumed, retried } = await pushAgainAndAgain(client, name, `t${push % 2}`, account, random);
          uploadsResumed += resumed;
          pushesRetried += retried;
          done++;
        }
      });
      const v1 = (async () => {
        for (let push = 0; push < 4; push++) {
          const [name, chain] = [`killed/old-${round}-${push}`, await smallChain(2, 200_000)];
          pushesRetried += await again(async () => {
            await client.push(name, "v1", chain);
          });
          chains.push({ name, chain });
          done++;
        }
      })();
      const image = await writeImage(tools.path(`round-${round}`), 3_000_000);
      const skopeo = again(async () => {
        const to = `docker://${address}/killed/skopeo:r${round}`;
        await tools.skopeo("copy", "--retry-times", "3", image.reference, to);
      }).then((failed) => {
        skopeoFailed += failed;
        account.tags.set(`/v2/killed/skopeo/manifests/r${round}`, image.digest);
      });
      const pushing = Promise.all([...v2, v1, skopeo]);
      pushing.catch(() => undefined); // it is waited for below
      const early = random(6);
      await until("some pushes to be done", () => done > early, 60);
      await server(round).kill();
      await pushing;
      await server(round).restart();
      for (const each of servers) await account.expectKept(each.client());
    }
    for (const account of accounts) await account.expectKept(client);
    process.stderr.write(
      `      ${accounts.length} kills, ${uploadsResumed} uploads went on elsewhere, ` +
        `${pushesRetried} requests or pushes were tried again, ${skopeoFailed} times skopeo gave up\n`,
    );
    expect(interrupted(), "something was interrupted").to.be.greaterThan(0);
    for (const { name, chain } of chains) {
      for (const each of servers) {
        const pulled = await each.client().pull(name, "v1");
        expect(pulled.map(({ id }) => id)).to.deep.equal(chain.map(({ id }) => id));
      }
    }
    const { body } = await server(0).client().expect([200], "GET", "/v1/search?q=killed&n=100");
    const names = (JSON.parse(body.toString()) as { results: { name: string }[] }).results.map(({ name }) => name);
    expect(names)
      .to.include.members(chains.map(({ name }) => name))
      .and.include("killed/skopeo");
  });

  /** Reads a tag at both servers while something else happens; answers what was seen. */
  async function reading(random: Random, path: string): Promise<readonly (string | undefined)[]> {
    const each = servers.flatMap((one) => Array.from({ length: random(3) }, () => one.client()));
    return await Promise.all(each.map(async (one) => await digestAt(one, path)));
  }
});

/** The digest of what a tag names, from the bytes that come; undefined when there is no such tag. */
async function digestAt(client: V1Client, path: string): Promise<string | undefined> {
  const { status, headers, body } = await client.send("GET", path);
  if (status === 404) return undefined;
  expect([status, headers["docker-content-digest"]], path).to.deep.equal([200, digestOf(body)]);
  return digestOf(body);
}

/** Puts an image of its own under a tag. */
async function putManifest(client: V1Client, name: string, tag: string, text: string): Promise<string> {
  const body = Buffer.from(
    JSON.stringify({ schemaVersion: 2, mediaType: imageType, layers: [], annotations: { text } }),
  );
  await client.expect([201], "PUT", `/v2/${name}/manifests/${tag}`, { headers: { "Content-Type": imageType }, body });
  return digestOf(body);
}

/** What clients were told is there. */
class Account {
  /** The digest that a tag's path must name. */
  readonly tags = new Map<string, string>();
  readonly blobs = new Set<string>();

  async expectKept(client: V1Client): Promise<void> {
    for (const [path, digest] of this.tags) expect(await digestAt(client, path), path).to.equal(digest);
    for (const path of this.blobs) {
      const { body } = await client.expect([200], "GET", path);
      expect(digestOf(body), path).to.equal(path.split("/").at(-1));
    }
  }
}

/** Works until it succeeds; answers how often it did not. */
async function again(work: () => Promise<unknown>): Promise<number> {
  for (let failed = 0; ; failed++) {
    const failure = await failureOf(work());
    if (failure === "") return failed;
    if (failed === attempts) throw new Error(`tried ${attempts} times: ${failure}`);
  }
}

/** Pushes an image of two blobs by parts; what fails is tried again, and uploads go on from where they are. */
async function pushAgainAndAgain(
  client: V1Client,
  name: string,
  tag: string,
  account: Account,
  random: Random,
): Promise<{ readonly resumed: number; readonly retried: number }> {
  let [resumed, retried] = [0, 0];
  const config = Buffer.from(JSON.stringify({ text: random(2 ** 31) }));
  retried += await again(() => pushBlob(client, name, config));
  const layer = randomBytes(200_000 + random(2_000_000));
  resumed += await upload(client, name, layer);
  const [one, two] = [config, layer].map((bytes) => ({
    mediaType: "application/octet-stream",
    digest: digestOf(bytes),
    size: bytes.length,
  }));
  const body = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: imageType, config: one, layers: [two] }));
  const path = `/v2/${name}/manifests/${tag}`;
  retried += await again(() => client.expect([201], "PUT", path, { headers: { "Content-Type": imageType }, body }));
  account.tags.set(path, digestOf(body));
  for (const bytes of [config, layer]) account.blobs.add(`/v2/${name}/blobs/${digestOf(bytes)}`);
  retried += await again(async () => {
    expect(await digestAt(client, path)).to.equal(digestOf(body));
  });
  return { resumed, retried };
}

/** Uploads in parts of 200 kB, asking how far it has come after each failure; answers how often it went on like that. */
async function upload(client: V1Client, name: string, bytes: Buffer): Promise<number> {
  const digest = digestOf(bytes);
  let location = "";
  await again(async () => {
    const { headers } = await client.expect([202], "POST", `/v2/${name}/blobs/uploads/`);
    location = headers.location ?? "";
  });
  return await again(async () => {
    const state = await client.expect([204, 404], "GET", location);
    if (state.status === 404) {
      // Its last answer was lost.
      await client.expect([200], "HEAD", `/v2/${name}/blobs/${digest}`);
      return;
    }
    const last = Number(/^0-(\d+)$/.exec(String(state.headers.range))?.[1]);
    for (let sent = last === 0 ? 0 : last + 1; sent < bytes.length;) {
      const body = bytes.subarray(sent, sent + 200_000);
      const headers = { "Content-Range": `${sent}-${sent + body.length - 1}` };
      await client.expect([202], "PATCH", location, { headers, body });
      sent += body.length;
    }
    await client.expect([201], "PUT", `${location}?digest=${digest}`);
  });
}
