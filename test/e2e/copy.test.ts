import { createHash } from "node:crypto";
import { copyFile, cp, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import { pullImage, pushImage, sampleLayer } from "../support/bridged-registry.ts";
import { ContainerTools, needsContainerTools } from "../support/container-tools.ts";
import { writeMultiPlatformImage } from "../support/image-layout.ts";
import { fingerprints, oldStore, writeStore, type OldStore, type OldTag } from "../support/old-store.ts";
import { removeFolder, temporaryFolder, until } from "../support/program.ts";
import { RadosGateway } from "../support/radosgw.ts";
import { seededRandom } from "../support/random.ts";
import { RegistryProcess } from "../support/registry-process.ts";
import { s3Flavor } from "../support/s3-server.ts";
import { beginCopy, copied, objectsOf, writeFlavors } from "../support/store-copies.ts";
import { smallChain } from "../support/v1-images.ts";
import {
  expectSamePulled,
  pulledByV1,
  pulledByV2,
  pushVariedImages,
  type VariedImages,
} from "../support/varied-images.ts";
import type { V1Client } from "../support/v1-client.ts";

const kills = 20;

describe("copying a store", function () {
  this.timeout(600_000);
  let folder: string;
  let source: RegistryProcess;
  let old: OldStore;
  let pushed: VariedImages;
  const cleanup: (() => Promise<void>)[] = [];
  const started = async (options: readonly string[] = [], store?: string): Promise<RegistryProcess> => {
    const registry = await RegistryProcess.start(options, store);
    cleanup.push(async () => {
      await registry.remove();
    });
    return registry;
  };

  before(async () => {
    folder = await temporaryFolder("copy");
    cleanup.push(async () => {
      await removeFolder(folder);
    });
    const store = join(folder, "source");
    old = oldStore("0.7.1", 5);
    await writeStore(store, old.files);
    source = await started([], store);
    pushed = await pushVariedImages(source.client());
  });
  after(async () => {
    for (const undo of cleanup.toReversed()) await undo();
  });

  const local = (path: string): readonly string[] => ["storage: local", `storage_path: ${path}`];

  /** Writes the configuration that a copy is told of. */
  const configure = async (from: readonly string[], to: readonly string[], name = "copy"): Promise<string> =>
    await writeFlavors(join(folder, `${name}.yml`), { from, to });

  const expectSame = async (target: V1Client): Promise<void> => {
    await expectSamePulled(target, source.client(), pushed, old.tags);
  };

  describe("between a folder and a bucket", () => {
    let gateway: RadosGateway;
    let tools: ContainerTools;
    let bucket: string;
    before(async function () {
      needsContainerTools(this, "skopeo");
      gateway = await RadosGateway.start(this);
      cleanup.push(async () => {
        await gateway.stop();
      });
      bucket = await gateway.newBucket();
    });

    it("brings everything to the bucket while clients push to the one and pull from the other", async () => {
      const target = await started(s3Flavor(gateway, bucket));
      const [from, to] = [`127.0.0.1:${source.port}`, `127.0.0.1:${target.port}`];
      tools = await ContainerTools.create({ address: from, authority: undefined });
      cleanup.push(async () => {
        await tools.remove();
      });
      const image = await writeMultiPlatformImage(tools.path("image"));
      const config = await configure(local(source.store), s3Flavor(gateway, bucket));
      const program = beginCopy(config);
      let [pushes, pulls] = [0, 0];
      const pusher = async (): Promise<void> => {
        while (program.running) {
          await tools.skopeo("copy", "--all", image.reference, `docker://${from}/during/image-${pushes}:v1`);
          await source.client().push("during/v1", `t${pushes}`, await smallChain(2));
          pushes++;
        }
      };
      const puller = async (): Promise<void> => {
        while (program.running) pulls += (await pulledByV2(target.client())).length;
      };
      await Promise.all([pusher(), puller()]);
      expect(await program.exited, program.output).to.equal(0);
      expect(pushes, "pushes").to.be.greaterThan(0);
      expect(pulls, "pulls").to.be.greaterThan(0);
      await copied(config, 0);
      await expectSame(target.client());
      for (const name of ["during/image-0:v1", "team/app:v1", "old/app:v1", "team/multi:all"]) {
        const options = ["--src-tls-verify=false", "--all"];
        await tools.skopeo("copy", ...options, `docker://${to}/${name}`, `dir:${tools.path(name.replace(/\W/g, "-"))}`);
      }
      const again = await copied(config, 0, "--verify");
      expect(again.tags).to.include({ copied: 0, replaced: 0 });
      expect(again.blobs).to.include({ copied: 0, repaired: 0, bytes: 0 });
      await target.stop();
    });

    it("brings it back to a folder", async () => {
      const path = join(folder, "back");
      const config = await configure(s3Flavor(gateway, bucket), local(path));
      const report = await copied(config, 0, "--jobs", "3");
      expect(report.tags.copied).to.be.greaterThan(old.tags.length);
      const target = await started([], path);
      await expectSame(target.client());
      await target.stop();
    });
  });

  describe("between folders", () => {
    before(async () => {
      await source.stop();
    });
    after(async () => {
      await source.restart();
    });
    const target = (name: string): string => join(folder, name);

    it("changes nothing of the source", async () => {
      const before = await fingerprints(source.store);
      const config = await configure(local(source.store), local(target("whole")));
      await copied(config, 0);
      await copied(config, 0, "--verify", "--keep-tags");
      expect([...(await fingerprints(source.store))].sort()).to.deep.equal([...before].sort());
    });

    it(`ends with the same objects when it is killed at ${kills} moments or more`, async function () {
      const random = seededRandom(this);
      const config = await configure(local(source.store), local(target("timed")));
      const start = Date.now();
      await copied(config, 0);
      let longest = (Date.now() - start) * 0.6;
      const expected = await objectsOf(target("timed"));
      let [cut, partly] = [0, 0];
      let rounds = 0;
      // How long it takes changes with what else the machine does: it goes on until it was killed at work often enough.
      const isEnough = (): boolean => cut > kills / 2 && partly > kills / 4;
      const lane = async (): Promise<void> => {
        for (let round = rounds++; round < kills || !isEnough(); round = rounds++) {
          const path = target(`killed-${round}`);
          const config = await configure(local(source.store), local(path), `killed-${round}`);
          const program = beginCopy(config);
          await until("the copy to begin", async () => !program.running || (await readdir(path)).length > 0);
          const delay = random(longest);
          await new Promise((resolve) => setTimeout(resolve, delay));
          if ((await program.stop("SIGKILL")) === "SIGKILL") cut++;
          else longest = Math.min(longest, delay);
          await mkdir(path, { recursive: true });
          const left = (await objectsOf(path)).length;
          if (left > 0 && left < expected.length) partly++;
          expect(await beginCopy(config).exited).to.equal(0);
          expect(await objectsOf(path), `round ${round}, killed with ${left} objects`).to.deep.equal(expected);
          await removeFolder(path);
        }
      };
      await Promise.all([lane(), lane()]);
      process.stderr.write(`      killed ${cut} times, ${partly} times with some of the work done\n`);
      expect(cut).to.be.greaterThan(kills / 2);
      expect(partly).to.be.greaterThan(kills / 4);
    });

    it("tells of content that is damaged, leaves it and its tags out, and goes on", async () => {
      const damaged = target("damaged");
      await cp(source.store, damaged, { recursive: true, filter: (path) => !path.includes("/_registryctl/servers") });
      const config = await configure(local(damaged), local(target("rest")));
      const { body } = await inside(damaged, async (client) => await client.expect([200], "GET", "/v2/team/multi/manifests/amd")); // prettier-ignore
      const { layers } = JSON.parse(body.toString()) as { readonly layers: readonly { readonly digest: string }[] };
      const digest = layers.at(-1)?.digest ?? "";
      const file = (root: string): string => {
        const hex = digest.slice("sha256:".length);
        return join(root, "docker/registry/v2/blobs/sha256", hex.slice(0, 2), hex, "data");
      };
      await flip(file(damaged));
      const [oldTag, other] = old.tags.filter(({ tag }) => tag === "latest");
      const image = (tag: OldTag | undefined): string => join(damaged, "images", tag?.images[3]?.id ?? "");
      await flip(join(image(oldTag), "layer"));
      // As the registry before 0.7 noted it, which had no other sum.
      const [, tarsum] = JSON.parse(await readFile(join(image(other), "_checksum"), "utf8")) as readonly string[];
      await writeFile(join(image(other), "_checksum"), tarsum ?? "");
      await flip(join(image(other), "layer"));
      const report = await copied(config, 1);
      const told = (kind: string) => report.problems.filter((problem) => problem.kind === kind && problem.tag !== undefined).map(({ repository, tag }) => `${repository}:${tag}`); // prettier-ignore
      expect(told("blob-damaged").sort()).to.deep.equal(["team/app:v1", "team/multi:all", "team/multi:amd"]);
      expect(told("layer-damaged")).to.include.members([oldTag, other].map((tag) => `${tag?.repository}:${tag?.tag}`));
      const keys = (await objectsOf(target("rest"))).map((line) => line.split(" ")[0] ?? "");
      expect(keys.filter((key) => key.includes(digest.slice("sha256:".length)) && key.startsWith("docker/"))).to.deep.equal([]); // prettier-ignore
      await inside(target("rest"), async (client) => {
        const found = (await pulledByV2(client)).map((line) => line.split(" ")[0]);
        expect(found).to.include.members(["team/app:v2", "team/multi:arm", "old/app:v1"]);
        expect(found).not.to.include.members(["team/app:v1"]);
      });
      // Once it is mended, another run brings the rest.
      await copyFile(file(source.store), file(damaged));
      await rm(join(damaged, "images"), { recursive: true });
      await cp(join(source.store, "images"), join(damaged, "images"), { recursive: true });
      await copied(config, 0);
      const undamaged = await configure(local(source.store), local(target("undamaged")), "undamaged");
      await copied(undamaged, 0);
      // Servers that were asked for tags of V1 have made manifests of them meanwhile.
      const names = (await objectsOf(target("undamaged"))).filter((line) => !line.startsWith("_registryctl/"));
      expect(await objectsOf(target("rest"))).to.include.members(names);
      // What is damaged in the target is found and mended, when it is looked for.
      await flip(file(target("rest")));
      expect((await copied(config, 0)).blobs.repaired).to.equal(0);
      expect((await copied(config, 0, "--verify")).blobs.repaired).to.equal(1);
      expect(await hashFile(file(target("rest")))).to.equal(digest.slice("sha256:".length));
    });
  });

  it("tells a server of the target at once, whose tags change, or stay with --keep-tags", async () => {
    const target = await started();
    const config = await configure(local(source.store), local(target.store));
    const client = target.client();
    const from = source.client();
    await pushImage(from, "mine/app", "v1", [sampleLayer("older")]);
    await pushImage(from, "mine/app", "v2", [sampleLayer("oldest")]);
    await from.push("mine/old", "v1", await smallChain(2));
    await copied(config, 0, "--repository", "mine/app", "--repository", "*/old");
    const names = async () => (await pulledByV2(client)).map((line) => line.split(" ")[0]);
    expect(await names()).to.deep.equal(["mine/app:v1", "mine/app:v2", "mine/old:v1"]);
    const before = await pullImage(client, "mine/app", "v2");
    const chain = await pulledByV1(client, "mine/old");
    await pushImage(client, "mine/app", "own", [sampleLayer("own")]);
    const { digest } = await pushImage(from, "mine/app", "v2", [sampleLayer("newer")]);
    // A tag that was pushed through V2 gives way to one of V1, and the other way round.
    await pushImage(client, "mine/old", "v1", [sampleLayer("hiding")]);
    await from.push("mine/app", "v1", await smallChain(1));
    const kept = await copied(config, 0, "--repository", "mine/*", "--keep-tags");
    expect(kept.tags).to.include({ replaced: 0, kept: 3 });
    expect((await pullImage(client, "mine/app", "v2")).digest).to.equal(before.digest);
    const { tags } = await copied(config, 0, "--repository", "mine/*");
    expect(tags).to.include({ replaced: 3, kept: 0 });
    expect((await pullImage(client, "mine/app", "v2")).digest).to.equal(digest);
    expect(await pulledByV1(client, "mine/old")).to.deep.equal(chain);
    const [there, here] = [await pullImage(from, "mine/app", "v1"), await pullImage(client, "mine/app", "v1")];
    expect(here.digest).to.equal(there.digest);
    expect(await names()).to.include("mine/app:own");
  });

  async function inside<T>(store: string, work: (client: V1Client) => Promise<T>): Promise<T> {
    const registry = await RegistryProcess.start([], store);
    try {
      return await work(registry.client());
    } finally {
      await registry.remove();
    }
  }
});

/** Changes a byte of a file, and not its size. */
async function flip(path: string): Promise<void> {
  const bytes = await readFile(path);
  bytes[0] = (bytes[0] ?? 0) ^ 1;
  await rm(path);
  await writeFile(path, bytes);
}

async function hashFile(path: string): Promise<string> {
  return createHash("sha256").update(await readFile(path)).digest("hex"); // prettier-ignore
}
