import { truncate } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import { imageManifest, imageType, indexType, pushManifest } from "../../support/oci-image.ts";
import { removeFolder, temporaryFolder } from "../../support/program.ts";
import { startRegistry, type RegistryServer } from "../../support/registry-server.ts";

/** CNCF Distribution does not wait for the disk: what it wrote last may be empty after a power cut. */
describe("V2 repositories with files that a power cut has left empty", () => {
  let folder: string;
  let server: RegistryServer;
  beforeEach(async () => {
    folder = await temporaryFolder();
    server = await startRegistry({ storage: "local", storage_path: folder });
  });
  afterEach(async () => {
    await server.close();
    await removeFolder(folder);
  });

  const key = (path: string) => join(folder, "docker/registry/v2", path);
  const push = async (tag: string) =>
    await pushManifest(server.client, "some/image", tag, await imageManifest(server.client, "some/image", tag));
  const status = async (method: string, path: string) => (await server.client.send(method, path)).status;

  it("have no manifest at such a tag, and serve and delete all others", async () => {
    const whole = await push("whole");
    await push("lost");
    await truncate(key("repositories/some/image/_manifests/tags/lost/current/link"));
    expect(await status("GET", "/v2/some/image/manifests/lost")).to.equal(404);
    const listed = await server.client.expect([200], "GET", "/v1/repositories/some/image/tags");
    expect(Object.keys(JSON.parse(listed.body.toString()) as object)).to.deep.equal(["whole"]);
    expect(await status("GET", "/v1/repositories/some/image/images")).to.equal(200);
    expect(await status("DELETE", `/v2/some/image/manifests/${whole.digest}`)).to.equal(202);
    expect(await status("DELETE", "/v2/some/image/manifests/lost")).to.equal(202);
  });

  it("let manifests be deleted that are no more", async () => {
    const { digest } = await push("lost");
    await truncate(key(`blobs/sha256/${digest.slice(7, 9)}/${digest.slice(7)}/data`));
    expect(await status("DELETE", `/v2/some/image/manifests/${digest}`)).to.equal(202);
    expect(await status("GET", `/v2/some/image/manifests/${digest}`)).to.equal(404);
  });

  it("tell the referrers that are left", async () => {
    const subject = await push("subject");
    const signature = (text: string) => ({
      schemaVersion: 2,
      mediaType: imageType,
      layers: [],
      subject: { mediaType: imageType, digest: subject.digest, size: subject.bytes.length },
      annotations: { text },
    });
    const whole = await pushManifest(server.client, "some/image", "a", signature("whole"));
    const lost = await pushManifest(server.client, "some/image", "b", signature("lost"));
    const manifests = [whole, lost].map(({ digest, bytes }) => ({ mediaType: imageType, digest, size: bytes.length }));
    const index = { schemaVersion: 2, mediaType: indexType, manifests };
    await pushManifest(server.client, "some/image", subject.digest.replace(":", "-"), index, indexType);
    // As CNCF Distribution has it, which knows of no referrers.
    await removeFolder(join(folder, "_registryctl/v2/referrers"));
    await truncate(key(`blobs/sha256/${lost.digest.slice(7, 9)}/${lost.digest.slice(7)}/data`));
    const answer = await server.client.expect([200], "GET", `/v2/some/image/referrers/${subject.digest}`);
    const listed = (JSON.parse(answer.body.toString()) as { manifests: { digest: string }[] }).manifests;
    expect(listed.map(({ digest }) => digest)).to.deep.equal([whole.digest]);
  });
});
