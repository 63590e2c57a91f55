import { createHash } from "node:crypto";
import { join } from "node:path";
import { expect } from "chai";
import { command } from "../../support/command.ts";
import { blobOf, writeImage } from "../../support/image-layout.ts";
import { needs } from "../../support/needs.ts";
import { removeFolder, temporaryFolder } from "../../support/program.ts";
import { startRegistry, type RegistryServer } from "../../support/registry-server.ts";
import { smallChain } from "../../support/v1-images.ts";

describe("skopeo and a V1 client at one registry", function () {
  this.timeout(300_000);
  let folder: string;
  let server: RegistryServer;

  before(async function () {
    needs(this, "skopeo", "busybox");
    folder = await temporaryFolder("bridge");
    server = await startRegistry({ storage: "local", storage_path: join(folder, "store") });
  });
  after(async () => {
    await server.close();
    await removeFolder(folder);
  });

  async function skopeo(...args: readonly string[]): Promise<string> {
    return await command("skopeo", ["--insecure-policy", "--tmpdir", folder, ...args], {
      env: { PATH: process.env["PATH"], HOME: folder },
    });
  }
  const at = (name: string) => `docker://127.0.0.1:${server.port}/${name}`;

  it("skopeo inspects and copies what was pushed through V1", async () => {
    const chain = await smallChain(3);
    await server.client.push("v1/image", "v1", chain);
    const inspection = JSON.parse(await skopeo("inspect", "--tls-verify=false", at("v1/image:v1"))) as {
      Created: string;
      Env: string[];
      Layers: string[];
      RepoTags: string[];
    };
    expect(inspection.Created).to.equal("2014-06-01T10:00:00.123456789Z");
    expect(inspection.Env).to.deep.equal(["PATH=/bin"]);
    expect(inspection.Layers.length).to.equal(3);
    expect(inspection.RepoTags).to.deep.equal(["v1"]);
    await skopeo("copy", "--src-tls-verify=false", at("v1/image:v1"), `oci:${join(folder, "copied")}:v1`);
    const options = ["--src-tls-verify=false", "--dest-tls-verify=false"];
    await skopeo("copy", ...options, at("v1/image:v1"), at("v1/copy:v2"));
    const pulled = await server.client.pull("v1/copy", "v2");
    expect(pulled.map(({ id }) => id)).to.deep.equal(chain.map(({ id }) => id));
    expect(pulled.map(({ json }) => json.toString())).to.deep.equal(chain.map(({ json }) => json.toString()));
  });

  it("a V1 client pulls what skopeo pushed", async () => {
    const layout = await writeImage(join(folder, "layout"));
    await skopeo("copy", "--dest-tls-verify=false", layout.reference, at("v2/image:v1"));
    const images = await server.client.pull("v2/image", "v1");
    const layers = await Promise.all(
      layout.images[0]!.layers.map(async (digest) => await blobOf(join(folder, "layout"), digest)),
    );
    const sums = layers.map((layer) => createHash("sha256").update(layer).digest("hex"));
    expect(images.map(({ layer }) => layer.sha256)).to.deep.equal(sums);
  });
});
