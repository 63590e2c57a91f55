import { cp, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { createHash } from "node:crypto";
import { expect } from "chai";
import { pullImage } from "../support/bridged-registry.ts";
import { registryctl } from "../support/cli.ts";
import { command } from "../support/command.ts";
import { DockerRegistry } from "../support/docker-registry.ts";
import { needs } from "../support/needs.ts";
import { imageManifest, pushManifest } from "../support/oci-image.ts";
import { fingerprints, oldStore, oldVersions, writeStore, type OldStore } from "../support/old-store.ts";
import { bin, Program, removeFolder, temporaryFolder, until } from "../support/program.ts";
import { seededRandom } from "../support/random.ts";
import { RegistryProcess } from "../support/registry-process.ts";
import { startRegistry, type RegistryServer } from "../support/registry-server.ts";

const kills = 32;

interface Report {
  readonly v1?: { readonly tags: number; readonly sound: number; readonly prepared: number; readonly images: number };
  readonly v2?: { readonly tags: number; readonly sound: number; readonly broken: number };
  readonly problems: readonly {
    readonly kind: string;
    readonly severity: string;
    readonly repository?: string;
    readonly tag?: string;
    readonly suggestion?: string;
  }[];
}

async function adopt(store: string, ...args: string[]): Promise<{ readonly code: number; readonly report: Report }> {
  const { code, stdout, stderr } = await registryctl(["adopt", store, "--json", ...args]);
  if (stdout === "") throw new Error(stderr);
  return { code, report: JSON.parse(stdout) as Report };
}

/** What V2 has of a store: every link with what it names, and every blob. */
async function stateOf(store: string): Promise<ReadonlyMap<string, string>> {
  const root = join(store, "docker/registry/v2");
  const state = new Map<string, string>();
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile())
      state.set(
        relative(root, path),
        createHash("sha256")
          .update(await readFile(path))
          .digest("hex"),
      );
  }
  return state;
}

describe("adopting the store of an old registry", function () {
  this.timeout(1_800_000);
  let folder: string;
  before(async () => {
    folder = await temporaryFolder("adopt");
  });
  after(async () => {
    await removeFolder(folder);
  });

  for (const version of oldVersions) {
    describe(`of docker-registry ${version}, with 200 images in 50 repositories`, () => {
      let root: string;
      let store: OldStore;
      let original: ReadonlyMap<string, string>;
      let server: RegistryServer | undefined;
      before(async () => {
        root = join(folder, version);
        store = oldStore(version);
        await writeStore(root, store.files);
        original = await fingerprints(root);
      });
      afterEach(async () => {
        await server?.close();
        server = undefined;
      });
      const expectUntouched = async () => {
        expect([...(await fingerprints(root, store.files.keys()))].sort()).to.deep.equal([...original].sort());
      };

      it("is told of, and not one file of it changed", async () => {
        const { code, report } = await adopt(root);
        expect([...(await fingerprints(root))].sort()).to.deep.equal([...original].sort());
        const images = new Set([...store.files.keys()].flatMap((path) => /^images\/(\w+)\//.exec(path)?.[1] ?? []));
        expect(images.size).to.be.at.least(200);
        expect(report.v1).to.include({
          tags: store.tags.length,
          sound: store.tags.length,
          prepared: 0,
          images: images.size,
        });
        expect(code).to.equal(0);
        const odd = new Set(store.tags.filter(({ isSpelt }) => !isSpelt).map(({ repository }) => repository));
        const told = report.problems.filter(({ kind }) => kind.endsWith("unspellable"));
        expect(told.length).to.be.greaterThan(0);
        for (const { suggestion } of told) expect(suggestion).to.match(/^[a-zA-Z0-9/._-]+$/);
        expect(
          new Set(told.map(({ repository = "" }) => decodeURIComponent(repository.replaceAll("+", " ")))),
        ).to.deep.equal(odd);
        expect(
          report.problems.filter(({ kind }) => !kind.endsWith("unspellable") && kind !== "image-untagged"),
        ).to.deep.equal([]);
      });

      it("is prepared, and the same on another machine", async () => {
        const { code, report } = await adopt(root, "--write");
        expect(code).to.equal(0);
        expect(report.v1).to.include({ sound: store.tags.length, prepared: store.tags.length });
        await expectUntouched();
        const other = join(folder, `${version}-elsewhere`);
        await writeStore(other, store.files);
        await command(process.execPath, [bin, "adopt", other, "--write"]);
        expect([...(await stateOf(other))].sort()).to.deep.equal([...(await stateOf(root))].sort());
        const again = await adopt(root, "--write");
        expect(again.report).to.deep.equal(report);
      });

      for (const [how, prepared] of [
        ["once it is prepared", true],
        ["as it was found", false],
      ] as const) {
        it(`is served to clients of both protocols ${how}`, async () => {
          let served = root;
          if (!prepared) {
            served = join(folder, `${version}-found`);
            await writeStore(served, store.files);
          }
          const found = await fingerprints(served, store.files.keys());
          server = await startRegistry({ storage: "local", storage_path: served });
          for (const { repository, tag, images, isSpelt } of store.tags) {
            const path = repository.split("/").map(encodeURIComponent).join("/");
            const chain = await Promise.all(images.map(async ({ id }) => await server?.client.pullImage(id)));
            expect(chain.map((image) => image?.layer.sha256)).to.deep.equal(
              images.map(({ layer }) => createHash("sha256").update(layer).digest("hex")),
            );
            const named = await server.client.expect(
              [200],
              "GET",
              `/v1/repositories/${path}/tags/${encodeURIComponent(tag)}`,
            );
            expect(JSON.parse(named.body.toString())).to.equal(images.at(-1)?.id);
            if (!isSpelt) continue;
            const { config } = await pullImage(server.client, repository, tag);
            expect(config.author).to.equal("Zoë");
            expect(config.history.length).to.equal(images.length);
          }
          expect([...(await fingerprints(served, store.files.keys()))]).to.deep.equal([...found]);
        });
      }

      it("is copied by skopeo", async function () {
        needs(this, "skopeo");
        server = await startRegistry({ storage: "local", storage_path: root });
        const spelt = store.tags.filter(({ isSpelt }) => isSpelt);
        for (const { repository, tag } of [spelt[0]!, spelt[9]!, spelt.at(-1)!]) {
          const source = `docker://127.0.0.1:${server.port}/${repository}:${tag}`;
          const target = `dir:${join(folder, "copied", version, repository, tag)}`;
          await mkdir(target.slice("dir:".length), { recursive: true });
          const options = ["--insecure-policy", "--tmpdir", folder, "copy", "--src-tls-verify=false"];
          await command("skopeo", [...options, source, target], { env: { PATH: process.env["PATH"], HOME: folder } });
        }
        await expectUntouched();
      });
    });
  }

  it(`ends in the same state when it is killed at ${kills} moments or more`, async function () {
    const random = seededRandom(this);
    const { files } = oldStore("0.9.1", 6);
    const found = join(folder, "found");
    await writeStore(found, files);
    const copy = async (name: string) => {
      const path = join(folder, name);
      await cp(found, path, { recursive: true, preserveTimestamps: true });
      return path;
    };
    const whole = await copy("whole");
    const start = Date.now();
    await command(process.execPath, [bin, "adopt", whole, "--write"]);
    let longest = Date.now() - start;
    const expected = [...(await stateOf(whole))].sort();
    let [cut, partly] = [0, 0];
    // How long it takes changes with what else the machine does: it goes on until it was killed at work often enough.
    const isEnough = (): boolean => cut > kills / 2 && partly > 0;
    for (let round = 0; round < kills || !isEnough(); round++) {
      const store = await copy(`killed-${round}`);
      const original = [...(await fingerprints(store))].sort();
      const program = new Program(process.execPath, [bin, "adopt", store, "--write"]);
      const delay = random(longest);
      await new Promise((resolve) => setTimeout(resolve, delay));
      if ((await program.stop("SIGKILL")) === "SIGKILL") cut++;
      else longest = delay;
      const left = await stateOf(store).catch(() => new Map<string, string>());
      if (left.size > 0 && left.size < expected.length) partly++;
      await command(process.execPath, [bin, "adopt", store, "--write"]);
      expect([...(await stateOf(store))].sort(), `round ${round}`).to.deep.equal(expected);
      expect([...(await fingerprints(store, files.keys()))].sort()).to.deep.equal(original);
      await removeFolder(store);
    }
    process.stderr.write(`      killed ${cut} times, ${partly} times with some of the work done\n`);
    expect(cut).to.be.greaterThan(kills / 2);
    expect(partly).to.be.greaterThan(0);
  });

  it("is interrupted in order, and says so", async () => {
    const root = join(folder, "interrupted");
    await writeStore(root, oldStore("0.7.1", 10).files);
    const stopped = new AbortController();
    stopped.abort(new Error("stopped by SIGINT"));
    const { code, stderr } = await registryctl(["adopt", root, "--write"], { signal: stopped.signal });
    expect(code).to.equal(130);
    expect(stderr).to.contain("goes on from there");
    expect((await adopt(root, "--write")).code).to.equal(0);
  });

  it("works beside a server, which sees what is done at once", async () => {
    const registry = await RegistryProcess.start();
    try {
      const store = oldStore("0.9.1", 5);
      const catalog = async () => (await registry.client().expect([200], "GET", "/v2/_catalog")).body.toString();
      expect(await catalog()).to.contain("[]");
      await writeStore(registry.store, store.files);
      const { code } = await adopt(registry.store, "--write");
      expect(code).to.equal(0);
      await until("it to tell", () => registry.output.includes("another server works on this storage_path"));
      expect(await catalog()).to.contain("library/ubuntu");
      for (const { repository, tag, isSpelt } of store.tags) {
        if (isSpelt) await pullImage(registry.client(), repository, tag);
      }
    } finally {
      await registry.remove();
    }
  });

  it("checks a store of docker-registry 2.8, and finds what is damaged", async function () {
    const root = join(folder, "v2");
    const peer = await DockerRegistry.start(this, root);
    const digests: string[] = [];
    try {
      for (const name of ["one/app", "two/app"]) {
        for (const tag of ["v1", "v2"]) {
          const manifest = await imageManifest(peer.client, name, `${name}:${tag}`);
          digests.push((await pushManifest(peer.client, name, tag, manifest)).digest);
        }
      }
    } finally {
      await peer.stop();
    }
    const found = await fingerprints(root);
    const { code, report } = await adopt(root, "--verify");
    expect(code).to.equal(0);
    expect(report).to.deep.include({ v2: { repositories: 2, tags: 4, sound: 4, broken: 0 }, problems: [] });
    expect([...(await fingerprints(root))].sort()).to.deep.equal([...found].sort());

    const blobs = join(root, "docker/registry/v2/blobs/sha256");
    const fileOf = (digest = "") => join(blobs, digest.slice(7, 9), digest.slice(7), "data");
    const manifest = JSON.parse(await readFile(fileOf(digests[0]), "utf8")) as { layers: { digest: string }[] };
    const layer = fileOf(manifest.layers[0]?.digest);
    const bytes = await readFile(layer);
    bytes[0] = (bytes[0] ?? 0) ^ 1;
    await writeFile(layer, bytes);
    expect((await adopt(root)).code, "nothing is read without --verify").to.equal(0);
    const damaged = await adopt(root, "--verify");
    expect(damaged.code).to.equal(1);
    expect(damaged.report.problems.map(({ kind, repository, tag }) => [kind, repository, tag])).to.deep.equal([
      ["blob-damaged", "one/app", "v1"],
    ]);
    await writeFile(layer, "short");
    await removeFolder(fileOf(digests[3]));
    const { report: worse } = await adopt(root);
    expect(worse.problems.map(({ kind, repository, tag }) => [kind, repository, tag])).to.deep.equal([
      ["blob-damaged", "one/app", "v1"],
      ["manifest-missing", "two/app", "v2"],
    ]);
    expect(worse.v2).to.include({ tags: 4, sound: 2, broken: 2 });
  });
});
