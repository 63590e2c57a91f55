import { randomBytes } from "node:crypto";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import { checkStore } from "../../support/blob-store-check.ts";
import { digestOf, imageType } from "../../support/oci-image.ts";
import { until } from "../../support/program.ts";
import { seededRandom, type Random } from "../../support/random.ts";
import { RegistryProcess } from "../../support/registry-process.ts";
import type { V1Client } from "../../support/v1-client.ts";

/** An upload that a push was in the middle of. */
interface Upload {
  readonly location: string;
  readonly bytes: Buffer;
  /** How many bytes were acknowledged, and whether all were sent to be made a blob. */
  sent: number;
  finishing: boolean;
}

/** What a pusher has done and been told, of one repository. */
interface Account {
  readonly name: string;
  readonly blobs: Map<string, Buffer>;
  readonly manifests: Map<string, Buffer>;
  /** What each tag may name: what was acknowledged last, then what was asked for after that. */
  readonly tags: Map<string, string[]>;
  upload: Upload | undefined;
}

const rounds = 200;
/** So many servers are killed side by side: most of the time is that of their starts. */
const lanes = 2;
const pushers = 3;
const tags = ["latest", "v1"];

/** Pushes blob after blob and manifest after manifest until the server is gone. */
async function pushUntilKilled(client: V1Client, account: Account, random: Random): Promise<void> {
  try {
    for (;;) {
      const blobs = [await pushBlob(client, account, random), await pushBlob(client, account, random)];
      const [config, layer] = blobs.map(({ digest, size }) => ({
        mediaType: "application/octet-stream",
        digest,
        size,
      }));
      const manifest = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: imageType, config, layers: [layer] }));
      await pushManifest(client, account, manifest, tags[random(tags.length)]!);
    }
  } catch (error) {
    // The connection is cut; an answer of the server's would be a failure of the test.
    expect(String(error)).not.to.match(/answered/);
  }
}

async function pushManifest(client: V1Client, account: Account, bytes: Buffer, tag: string): Promise<void> {
  const digest = digestOf(bytes);
  const named = account.tags.get(tag) ?? [];
  account.tags.set(tag, [...named, digest]);
  const put = { headers: { "Content-Type": imageType }, body: bytes };
  await client.expect([201], "PUT", `/v2/${account.name}/manifests/${tag}`, put);
  account.tags.set(tag, [digest]);
  account.manifests.set(digest, bytes);
}

async function pushBlob(client: V1Client, account: Account, random: Random): Promise<{ digest: string; size: number }> {
  const bytes = randomBytes(10 + random(random(4) === 0 ? 1_500_000 : 50_000));
  const digest = digestOf(bytes);
  const uploads = `/v2/${account.name}/blobs/uploads/`;
  const way = random(4);
  if (way === 0) {
    await client.expect([201], "POST", `${uploads}?digest=${digest}`, { body: bytes });
  } else {
    const { headers } = await client.expect([202], "POST", uploads);
    const upload: Upload = { location: headers.location ?? "", bytes, sent: 0, finishing: false };
    account.upload = upload;
    const cuts = [0, 0, 1, 3][way] ?? 0;
    const step = Math.ceil(bytes.length / Math.max(cuts, 1));
    for (let cut = 0; cut < cuts; cut++) {
      const body = bytes.subarray(upload.sent, upload.sent + step);
      // With a range, as clients do that send several, the bodies get into one object.
      const headers = random(2) === 0 ? { "Content-Range": `${upload.sent}-${upload.sent + body.length - 1}` } : {};
      await client.expect([202], "PATCH", upload.location, { headers, body: random(2) === 0 ? body : chunked(body) });
      upload.sent += body.length;
    }
    upload.finishing = true;
    await client.expect([201], "PUT", `${upload.location}?digest=${digest}`, { body: bytes.subarray(upload.sent) });
    account.upload = undefined;
  }
  account.blobs.set(digest, bytes);
  return { digest, size: bytes.length };
}

async function* chunked(bytes: Buffer): AsyncGenerator<Buffer> {
  await Promise.resolve();
  for (let at = 0; at < bytes.length; at += 20_000) yield bytes.subarray(at, at + 20_000);
}

/** Goes on with an upload from where the server says that it is. */
async function resume(
  client: V1Client,
  account: Account,
  { location, bytes, sent, finishing }: Upload,
): Promise<string> {
  const digest = digestOf(bytes);
  const state = await client.send("GET", location);
  if (state.status === 404) {
    expect(finishing, "an upload is over only when it was being finished").to.equal(true);
    await client.expect([200], "HEAD", `/v2/${account.name}/blobs/${digest}`);
    account.blobs.set(digest, bytes);
    return "was finished";
  }
  expect(state.status).to.equal(204);
  const last = Number(/^0-(\d+)$/.exec(String(state.headers.range))?.[1]);
  const size = last === 0 ? 0 : last + 1;
  if (size < sent) {
    expect([size, finishing], "only what has become a blob is no upload any more").to.deep.equal([0, true]);
    await client.expect([200], "HEAD", `/v2/${account.name}/blobs/${digest}`);
  }
  expect(size).to.be.at.most(bytes.length);
  const half = size + Math.ceil((bytes.length - size) / 2);
  if (half > size) {
    const headers = { "Content-Range": `${size}-${half - 1}` };
    await client.expect([202], "PATCH", location, { headers, body: bytes.subarray(size, half) });
  }
  await client.expect([201], "PUT", `${location}?digest=${digest}`, { body: bytes.subarray(half) });
  account.blobs.set(digest, bytes);
  return size < sent ? "was finished, and began anew" : "went on";
}

describe("a server that is killed at any moment of pushes through V2", () => {
  const registries: RegistryProcess[] = [];
  before(async function () {
    this.timeout(180_000);
    for (let lane = 0; lane < lanes; lane++) registries.push(await RegistryProcess.start());
  });
  after(async () => {
    for (const registry of registries) await registry.remove();
  });

  it(`keeps what it acknowledged and goes on with uploads, ${rounds} times or more`, async function () {
    this.timeout(1_800_000);
    const random = seededRandom(this);
    const outcomes = await Promise.all(registries.map(async (registry) => await survive(registry, random)));
    const sum = (key: string): number => outcomes.reduce((all, outcome) => all + (outcome.get(key) ?? 0), 0);
    expect(sum("blobs"), "the pushers got something done").to.be.greaterThan(rounds);
    expect(sum("went on"), "uploads were interrupted").to.be.greaterThan(rounds / 10);
    process.stderr.write(`      ${outcomes.map((outcome) => JSON.stringify([...outcome])).join(" ")}\n`);
  });

  /** One server's rounds, and a look at all of its store. Answers what happened how often. */
  async function survive(registry: RegistryProcess, random: Random): Promise<ReadonlyMap<string, number>> {
    const all: Account[] = [];
    const outcomes = new Map<string, number>();
    const client = registry.client();
    // How far pushes come changes with what else the machine does: it goes on until enough uploads were interrupted.
    const isEnough = (): boolean => (outcomes.get("went on") ?? 0) > rounds / lanes / 10;
    for (let round = 0; round < rounds / lanes || !isEnough(); round++) {
      const accounts = Array.from({ length: pushers }, (_, pusher): Account => {
        const name = `killed/r${round % 10}-${pusher}/r${round}`;
        return { name, blobs: new Map(), manifests: new Map(), tags: new Map(), upload: undefined };
      });
      const pushing = accounts.map(async (account) => {
        await pushUntilKilled(client, account, random);
      });
      await new Promise((resolve) => setTimeout(resolve, random(250)));
      await registry.kill();
      await Promise.all(pushing);
      await registry.restart();
      for (const account of accounts) {
        await expectKept(client, account);
        if (account.upload) {
          const outcome = await resume(client, account, account.upload);
          outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
        }
        await expectRetried(client, account, random);
      }
      all.push(...accounts);
    }
    for (const account of all) await expectKept(client, account);
    await registry.kill();
    const checked = await checkStore(registry.store);
    await registry.restart();
    await until("what was half written is removed", async () => {
      const left = await readdir(join(registry.store, "_registryctl/tmp"), { recursive: true, withFileTypes: true });
      return left.every((entry) => entry.isDirectory());
    });
    outcomes.set("blobs", all.reduce((sum, account) => sum + account.blobs.size, 0)); // prettier-ignore
    return outcomes.set("blobs in the store", checked.blobs).set("links in the store", checked.links);
  }

  async function expectKept(client: V1Client, { name, blobs, manifests, tags: named }: Account): Promise<void> {
    for (const [digest, bytes] of blobs) {
      const { body } = await client.expect([200], "GET", `/v2/${name}/blobs/${digest}`);
      expect(body.equals(bytes), digest).to.equal(true);
    }
    for (const [digest, bytes] of manifests) {
      const { body } = await client.expect([200], "GET", `/v2/${name}/manifests/${digest}`);
      expect(body.equals(bytes), digest).to.equal(true);
    }
    for (const [tag, digests] of named) {
      const { status, headers, body } = await client.send("GET", `/v2/${name}/manifests/${tag}`);
      const isAcknowledged = manifests.has(digests[0]!);
      if (status === 404 && !isAcknowledged) continue;
      expect(status, `${name}:${tag}`).to.equal(200);
      expect(digests).to.include(headers["docker-content-digest"]);
      expect(digestOf(body)).to.equal(headers["docker-content-digest"]);
    }
  }

  /** What was asked for and not answered succeeds when it is asked for again. */
  async function expectRetried(client: V1Client, account: Account, random: Random): Promise<void> {
    const pushed = await pushBlob(client, account, random);
    const layers = [{ mediaType: "application/octet-stream", ...pushed }];
    const manifest = { schemaVersion: 2, mediaType: imageType, config: layers[0], layers };
    await pushManifest(client, account, Buffer.from(JSON.stringify(manifest)), "latest");
    const { headers } = await client.expect([200], "HEAD", `/v2/${account.name}/manifests/latest`);
    expect([headers["docker-content-digest"]]).to.deep.equal(account.tags.get("latest"));
  }
});
