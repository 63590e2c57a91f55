import { execFileSync } from "node:child_process";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { expect } from "chai";
import { checkStore } from "../../support/blob-store-check.ts";
import { pullImage, pushImage } from "../../support/bridged-registry.ts";
import { needs } from "../../support/needs.ts";
import { digestOf } from "../../support/oci-image.ts";
import { until } from "../../support/program.ts";
import { seededRandom, type Random } from "../../support/random.ts";
import { startRegistry, type RegistryServer } from "../../support/registry-server.ts";
import { RegistryProcess } from "../../support/registry-process.ts";
import { gathered, tarOf } from "../../support/tar-bytes.ts";
import type { PulledImage, V1Client, V1Image } from "../../support/v1-client.ts";
import { imageOf } from "../../support/v1-images.ts";

const rounds = 32;
/** So many servers are killed side by side: most of the time is that of their starts. */
const lanes = 2;
const tag = "v1";

/** An image that is one protocol's own when the server is killed while the other asks for it. */
interface Subject {
  readonly name: string;
  /** Pushes it; the same each time. */
  readonly push: (client: V1Client) => Promise<void>;
  /** Asks for it through the other protocol; what comes tells one image from another. */
  readonly pull: (client: V1Client) => Promise<readonly string[]>;
  /** That what `pull` answered is this image. */
  readonly expectSame: (pulled: readonly string[]) => void;
}

/** An archive that takes a while to read and to pack, and that nobody had before. */
function archive(name: string, random: Random): Buffer {
  const words = Array.from({ length: 10_000 }, () => `${random(1000)} `).join("");
  return tarOf({ name: `./${name}`, content: Buffer.from(words.repeat(2 + random(14))) });
}

/** Pushed through V1, asked for through V2; one layer has to be packed anew. */
function pushedThroughV1(name: string, random: Random): Subject {
  const archives = ["base", "packed", "top"].map((file) => archive(file, random));
  const packed = archives.map((bytes, index) =>
    index === 1 ? execFileSync("xz", ["-0c"], { input: bytes }) : gzipSync(bytes, { level: 1 }),
  );
  const chain: V1Image[] = [];
  for (const layer of packed) chain.push(imageOf(layer, chain.at(-1)));
  return {
    name,
    push: async (client) => {
      await client.push(name, tag, chain);
    },
    pull: async (client) => {
      const { digest, config } = await pullImage(client, name, tag);
      return [digest, ...config.rootfs.diff_ids];
    },
    expectSame: ([, ...diffIds]) => {
      expect(diffIds).to.deep.equal(archives.map((bytes) => digestOf(bytes)));
    },
  };
}

/** Pushed through V2, asked for through V1; one layer has to be packed anew. */
function pushedThroughV2(name: string, random: Random): Subject {
  const type = "application/vnd.oci.image.layer.v1.tar";
  const layers = ["base", "packed", "top"].map((file, index) => {
    const bytes = archive(file, random);
    const packed = index === 1 ? execFileSync("zstd", ["-qc"], { input: bytes }) : gzipSync(bytes, { level: 1 });
    return { archive: bytes, bytes: packed, mediaType: `${type}+${index === 1 ? "zstd" : "gzip"}` };
  });
  return {
    name,
    push: async (client) => {
      await pushImage(client, name, tag, layers);
    },
    pull: async (client) => {
      const unpacked: string[] = [];
      const images = await client.pull(name, tag, async (_, layer) => {
        unpacked.push(digestOf(gunzipSync(await gathered(layer))));
      });
      return [...unpacked, ...images.map(textOf)];
    },
    expectSame: (pulled) => {
      expect(pulled.slice(0, layers.length)).to.deep.equal(layers.map((layer) => digestOf(layer.archive)));
    },
  };
}

function textOf({ id, json, checksum, layer }: PulledImage): string {
  return `${id} ${json.toString()} ${checksum} ${layer.sha256}`;
}

describe("a server that is killed while it shows images of one protocol to the other", () => {
  const registries: RegistryProcess[] = [];
  /** One that nobody kills, to tell what is right. */
  let other: RegistryServer;
  before(async function () {
    this.timeout(180_000);
    needs(this, "xz", "zstd");
    other = await startRegistry();
    for (let lane = 0; lane < lanes; lane++) registries.push(await RegistryProcess.start());
  });
  after(async () => {
    for (const registry of registries) await registry.remove();
    await other.close();
  });

  it(`shows each of them as any other server does, ${rounds} times or more`, async function () {
    this.timeout(600_000);
    const random = seededRandom(this);
    const outcomes = await Promise.all(registries.map(async (registry, lane) => await survive(registry, lane, random)));
    const cut = outcomes.reduce((sum, outcome) => sum + outcome, 0);
    process.stderr.write(`      ${cut} were cut off\n`);
    expect(cut, "most were at work when the server was killed").to.be.greaterThan(rounds / 3);
  });

  /** One server's rounds, and a look at all of its store. Answers how many pulls were cut off. */
  async function survive(registry: RegistryProcess, lane: number, random: Random): Promise<number> {
    const right = new Map<Subject, readonly string[]>();
    const client = registry.client();
    let cut = 0;
    // How long a pull takes changes with what else the machine does: it goes on until enough of them were cut off.
    for (let round = 0; round < rounds / lanes || cut <= rounds / lanes / 3; round++) {
      const make = round % 2 === 0 ? pushedThroughV1 : pushedThroughV2;
      const subject = make(`killed/r${lane}-${round}`, random);
      await subject.push(other.client);
      right.set(subject, await subject.pull(other.client));
      await subject.push(client);
      const pulled = subject.pull(client).then(
        () => true,
        (error: unknown) => {
          // The connection is cut; an answer of the server's would be a failure of the test.
          expect(String(error)).not.to.match(/answered|itself/);
          return false;
        },
      );
      await new Promise((resolve) => setTimeout(resolve, random(250)));
      await registry.kill();
      if (!(await pulled)) cut += 1;
      await registry.restart();
      subject.expectSame(await subject.pull(client));
    }
    for (const [subject, pulled] of right) expect(await subject.pull(client)).to.deep.equal(pulled);
    await registry.kill();
    await checkStore(registry.store);
    await registry.restart();
    await until("what was half written is removed", async () => {
      const left = await readdir(join(registry.store, "_registryctl/tmp"), { recursive: true, withFileTypes: true });
      return left.every((entry) => entry.isDirectory());
    });
    return cut;
  }
});
