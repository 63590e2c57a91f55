import { expect } from "chai";
import { failureOf } from "../../support/client-suite.ts";
import { ContainerTools, needsContainerTools } from "../../support/container-tools.ts";
import { DockerEngine, needsDocker } from "../../support/docker-engine.ts";
import { endOfSuite } from "../../support/end-of-suite.ts";
import { plainHttp, type FrontedRegistry } from "../../support/fronted-registry.ts";
import { writeImage } from "../../support/image-layout.ts";
import { smallChain } from "../../support/v1-images.ts";

describe("tags that clients of both protocols push and delete", function () {
  this.timeout(180_000);
  let registry: FrontedRegistry;
  let tools: ContainerTools;
  /** The digest of what `pushNew` pushes. */
  let digest: string;
  const atEnd = endOfSuite();
  before(async function () {
    needsContainerTools(this, "skopeo", "podman");
    registry = await plainHttp.start();
    atEnd(() => registry.stop());
    tools = await ContainerTools.create(registry);
    atEnd(() => tools.remove());
    ({ digest } = await writeImage(tools.path("image")));
  });

  const at = (name: string) => `docker://${registry.address}/${name}`;
  const pushNew = async (name: string) => await tools.skopeo("copy", `oci:${tools.path("image")}:v1`, at(name));
  const digestOfTag = async (name: string) => {
    const { Digest } = JSON.parse(await tools.skopeo("inspect", at(name))) as { Digest: string };
    return Digest;
  };
  /** Pushes an image that nobody has yet through V1; answers its id. */
  const pushOld = async (repository: string, tag: string) => {
    const chain = await smallChain(2);
    await registry.client.push(repository, tag, chain);
    return chain[1]!.id;
  };
  const idOfTag = async (repository: string, tag: string) => (await registry.client.pull(repository, tag)).at(-1)!.id;
  const deleteOld = async (path: string) => await registry.client.expect([200], "DELETE", `/v1/repositories/${path}`);

  it("name what was pushed last, for both", async () => {
    const first = await pushOld("both/last", "v1");
    const translated = await digestOfTag("both/last:v1");
    await pushNew("both/last:v1");
    expect(await digestOfTag("both/last:v1")).to.equal(digest);
    const derived = await idOfTag("both/last", "v1");
    expect(derived).not.to.equal(first);
    const second = await pushOld("both/last", "v1");
    expect(await idOfTag("both/last", "v1")).to.equal(second);
    expect([digest, translated]).not.to.include(await digestOfTag("both/last:v1"));
    await pushNew("both/last:v1");
    expect(await digestOfTag("both/last:v1")).to.equal(digest);
    expect(await idOfTag("both/last", "v1")).to.equal(derived);
  });

  it("are gone for both when skopeo deletes the image", async () => {
    await pushOld("both/deleted", "old");
    await pushNew("both/deleted:new");
    await pushOld("both/deleted", "kept");
    for (const tag of ["old", "new"]) {
      await tools.skopeo("delete", at(`both/deleted:${tag}`));
      expect(await failureOf(digestOfTag(`both/deleted:${tag}`))).to.contain("manifest unknown");
      expect(await failureOf(idOfTag("both/deleted", tag))).to.contain(`no tag ${tag}`);
    }
    await digestOfTag("both/deleted:kept");
    await idOfTag("both/deleted", "kept");
  });

  it("do not come forth again when skopeo deletes what was pushed over them", async () => {
    await pushOld("both/shadowed", "v1");
    await pushNew("both/shadowed:v1");
    await tools.skopeo("delete", at("both/shadowed:v1"));
    expect(await failureOf(digestOfTag("both/shadowed:v1"))).to.contain("manifest unknown");
    expect(await failureOf(idOfTag("both/shadowed", "v1"))).not.to.equal("");
  });

  it("are gone for both when a V1 client deletes them, or the repository", async () => {
    await pushNew("both/removed:new");
    await pushOld("both/removed", "old");
    await deleteOld("both/removed/tags/new");
    expect(await failureOf(digestOfTag("both/removed:new"))).to.contain("manifest unknown");
    const tags = JSON.parse(await tools.skopeo("list-tags", at("both/removed"))) as { Tags: string[] };
    expect(tags.Tags).to.deep.equal(["old"]);
    await pushNew("both/removed:new");
    await deleteOld("both/removed/");
    for (const tag of ["old", "new"]) {
      expect(await failureOf(digestOfTag(`both/removed:${tag}`))).to.match(/manifest unknown|name unknown|not known/);
      expect(await failureOf(idOfTag("both/removed", tag))).not.to.equal("");
    }
  });

  it("are found once, by name, in the catalog and by searches", async function () {
    needsDocker(this);
    await pushOld("found/old", "v1");
    await pushNew("found/new:v1");
    await pushOld("found/mixed", "old");
    await pushNew("found/mixed:new");
    await pushOld("foundation", "v1");
    const names = ["found/mixed", "found/new", "found/old", "library/foundation"];
    const { body } = await registry.client.expect([200], "GET", "/v2/_catalog");
    const { repositories } = JSON.parse(body.toString()) as { repositories: string[] };
    expect(repositories.filter((name) => name.includes("found"))).to.deep.equal(names);

    const podman = (await tools.podman("search", "--format", "{{.Name}}", `${registry.address}/found`))
      .trim()
      .split("\n");
    expect(podman.sort()).to.deep.equal(names.map((name) => `${registry.address}/${name}`));
    const engine = await DockerEngine.start(registry);
    try {
      const docker = (await engine.docker("search", "--format", "{{.Name}}", `${registry.address}/found`))
        .trim()
        .split("\n");
      expect(docker.sort()).to.deep.equal(names);
    } finally {
      await engine.stop();
    }
  });
});
