import { join } from "node:path";
import { expect } from "chai";
import { ContainerTools, needsContainerTools } from "../support/container-tools.ts";
import { DockerRegistry } from "../support/docker-registry.ts";
import { endOfSuite } from "../support/end-of-suite.ts";
import { blobOf, writeImage } from "../support/image-layout.ts";
import { mirroredRegistry } from "../support/mirrored-registry.ts";
import { digestOf } from "../support/oci-image.ts";
import { removeFolder, temporaryFolder } from "../support/program.ts";
import { startRegistry } from "../support/registry-server.ts";
import { smallChain } from "../support/v1-images.ts";

describe("mirrors for clients of the other protocol", function () {
  this.timeout(180_000);
  const atEnd = endOfSuite();
  const ofV1 = mirroredRegistry("v1");
  let tools: ContainerTools;
  let folder: string;

  before(async function () {
    needsContainerTools(this, "skopeo");
    folder = await temporaryFolder("mirror-bridge");
    atEnd(() => removeFolder(folder));
    tools = await ContainerTools.create({ address: `127.0.0.1:${ofV1().mirror.port}`, authority: undefined });
    atEnd(() => tools.remove());
  });

  it("give skopeo what a V1 source has, also when that is gone: its tags, and every byte", async () => {
    const { source, upstream, mirror } = ofV1();
    const images = await smallChain(3);
    for (const tag of ["v1", "v2"]) await source.client.push("foo/app", tag, images);
    const url = `docker://127.0.0.1:${mirror.port}/foo/app`;
    const { Tags: tags } = JSON.parse(await tools.skopeo("list-tags", url)) as { Tags: string[] };
    expect(tags).to.deep.equal(["v1", "v2"]);
    for (const [out, isThere] of [["first", true], ["second", false]] as const) {
      if (!isThere) upstream.substitute = { status: 500 };
      const path = tools.path(out);
      await tools.skopeo("copy", `${url}:v1`, `oci:${path}:v1`);
      const { body, headers } = await mirror.client.expect([200], "GET", "/v2/foo/app/manifests/v1");
      const { layers } = JSON.parse(body.toString()) as { layers: { digest: string }[] };
      expect(layers).to.have.length(3);
      for (const { digest } of layers) expect(digestOf(await blobOf(path, digest))).to.equal(digest);
      expect(digestOf(await blobOf(path, String(headers["docker-content-digest"])))).to.equal(headers["docker-content-digest"]); // prettier-ignore
    }
    expect(upstream.requests.filter((line) => line.includes("/v2/"))).to.deep.equal([]);
  }); // prettier-ignore

  it("give V1 clients what docker-registry has", async function () {
    const registry = await DockerRegistry.start(this, join(folder, "store"));
    atEnd(() => registry.stop());
    const mirror = await startRegistry({ mirroring: { source: registry.url, tags_cache_ttl: 0 } });
    atEnd(() => mirror.close());
    const image = await writeImage(tools.path("image"), 1_000_000);
    await tools.skopeo("copy", "--dest-tls-verify=false", image.reference, `docker://${new URL(registry.url).host}/foo/app:v1`); // prettier-ignore
    const pulled = await mirror.client.pull("foo/app", "v1");
    expect(pulled.map(({ layer }) => `sha256:${layer.sha256}`)).to.deep.equal(image.images[0]?.layers);
    await registry.stop();
    expect(await mirror.client.pull("foo/app", "v1")).to.deep.equal(pulled);
    const { headers } = await mirror.client.expect([200], "GET", "/v2/foo/app/manifests/v1");
    expect(headers["warning"]).to.match(/can't be reached|has just failed/);
  });
});
