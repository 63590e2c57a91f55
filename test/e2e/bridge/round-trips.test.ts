import { readFile } from "node:fs/promises";
import { expect } from "chai";
import { ContainerTools, needsContainerTools } from "../../support/container-tools.ts";
import { DockerEngine, needsDocker } from "../../support/docker-engine.ts";
import { endOfSuite } from "../../support/end-of-suite.ts";
import { FileTree } from "../../support/file-tree.ts";
import { plainHttp, type FrontedRegistry } from "../../support/fronted-registry.ts";
import { needs } from "../../support/needs.ts";
import { archivesIn, treeInDocker, treeInPodman } from "../../support/pulled-tree.ts";
import { digestOf } from "../../support/oci-image.ts";
import { gathered } from "../../support/tar-bytes.ts";
import {
  fiveLayers,
  fortyLayers,
  instructions,
  largeLayer,
  oneLayer,
  type V1Sample,
} from "../../support/v1-samples.ts";
import type { V1Client } from "../../support/v1-client.ts";

/** Where one sample is, and what is known of it. */
interface Travel {
  readonly sample: V1Sample;
  readonly name: string;
  readonly archives: readonly Buffer[];
  readonly tree: FileTree;
}

/** What docker puts into each container. */
const dockersOwn = /^(?:\.dockerenv|(?:dev|etc|proc|sys)(?:\/.*)?): /;

const samples = [
  ["one layer", oneLayer],
  ["five layers, of them one packed by xz, one by bzip2 and one that deletes", fiveLayers],
  ["forty layers", fortyLayers],
  ["layers that only change the configuration", instructions],
] as const;

describe("images of V1 on their way through clients of today", function () {
  this.timeout(300_000);
  let registry: FrontedRegistry;
  let tools: ContainerTools;
  let engine: DockerEngine;
  const atEnd = endOfSuite();
  before(async function () {
    needsContainerTools(this, "skopeo", "podman", "runc", "tar");
    needsDocker(this);
    needs(this, "xz", "bzip2");
    registry = await plainHttp.start();
    atEnd(() => registry.stop());
    tools = await ContainerTools.create(registry);
    atEnd(() => tools.remove());
    engine = await DockerEngine.start(registry);
    atEnd(() => engine.stop());
  });

  for (const [title, make] of samples) {
    describe(`with ${title}`, () => {
      let travel: Travel;
      before(async () => {
        const sample = make();
        const archives = await Promise.all(sample.archives.map(async (archive) => await gathered(archive())));
        const tree = await FileTree.of(sample.archives.map((archive) => archive()));
        await registry.client.push(`v1/${sample.name}`, "v1", sample.chain);
        travel = { sample, name: `${registry.address}/v1/${sample.name}:v1`, archives, tree };
      });

      it("are copied by skopeo, with the same archives", async () => {
        const { sample, name, archives } = travel;
        const folder = tools.path(sample.name);
        await tools.skopeo("copy", `docker://${name}`, `oci:${folder}:v1`);
        const index = JSON.parse(await readFile(`${folder}/index.json`, "utf8")) as { manifests: [{ digest: string }] };
        const copied = await archivesIn(folder, index.manifests[0].digest);
        expect(copied.map((archive) => digestOf(archive))).to.deep.equal(
          archives.filter((archive) => archive.length > 1024).map((archive) => digestOf(archive)),
        );
        const tree = await FileTree.of(copied.map((archive) => streamOf(archive)));
        expect(tree.lines()).to.deep.equal(travel.tree.lines());
      });

      it("are pulled and run by podman, with the same files", async () => {
        const { sample, name, tree } = travel;
        await tools.podman("pull", "-q", name);
        expect((await tools.podmanRun(name)).trim()).to.equal(sample.prints);
        expect((await treeInPodman(tools, name)).lines()).to.deep.equal(tree.lines());
      });

      it("are pulled and run by docker, with the same files", async () => {
        const { sample, name, tree } = travel;
        await engine.docker("pull", "-q", name);
        expect((await engine.docker("run", "--rm", "--network", "none", name)).trim()).to.equal(sample.prints);
        const exported = (await treeInDocker(engine, name)).lines().filter((line) => !dockersOwn.test(line));
        expect(exported).to.deep.equal(tree.lines().map(asDockerExports));
      });

      it("come back to V1 under the name to which skopeo copied them, as they were pushed", async () => {
        const { sample, name } = travel;
        const copy = `copied/${sample.name}`;
        await tools.skopeo("copy", `docker://${name}`, `docker://${registry.address}/${copy}:v2`);
        await expectBack(registry.client, copy, sample);
      });
    });
  }

  it("keep a layer of 500 MB", async () => {
    const sample = largeLayer(500_000_000);
    const name = `${registry.address}/v1/large:v1`;
    await registry.client.push("v1/large", "v1", sample.chain);
    await tools.podman("pull", "-q", name);
    expect((await tools.podmanRun(name)).trim()).to.equal(sample.prints);
    await tools.podman("rmi", "-f", name);
    await engine.docker("pull", "-q", name);
    expect((await engine.docker("run", "--rm", "--network", "none", name)).trim()).to.equal(sample.prints);
    await engine.docker("rmi", name);
    await tools.skopeo("copy", `docker://${name}`, `docker://${registry.address}/copied/large:v2`);
    await expectBack(registry.client, "copied/large", sample);
  });
});

/** Docker's export has whole seconds, and of the attributes capabilities. */
function asDockerExports(line: string): string {
  return line.replace(/( at \d+)\.\d+/, "$1").replace(/ user\.\w+="[^"]*"/, "");
}

/** Expects that a V1 client pulls what was pushed: the ids, every byte of JSON and layers, and checksums. */
async function expectBack(client: V1Client, repository: string, { chain }: V1Sample): Promise<void> {
  const pulled = await client.pull(repository, "v2");
  expect(pulled.map(({ id }) => id)).to.deep.equal(chain.map(({ id }) => id));
  expect(pulled.map(({ json }) => json.toString())).to.deep.equal(chain.map(({ json }) => json.toString()));
  for (const [index, { layer }] of chain.entries()) {
    const bytes = await gathered(layer());
    expect(`sha256:${pulled[index]?.layer.sha256}`).to.equal(digestOf(bytes));
    expect(pulled[index]?.checksum).to.equal(digestOf(Buffer.concat([chain[index]!.json, Buffer.from("\n"), bytes])));
  }
}

async function* streamOf(bytes: Buffer): AsyncGenerator<Buffer> {
  yield await Promise.resolve(bytes);
}
