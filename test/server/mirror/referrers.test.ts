import { expect } from "chai";
import { FaultyUpstream } from "../../support/faulty-upstream.ts";
import { digestOf, imageManifest, imageType, indexType, pushManifest } from "../../support/oci-image.ts";
import { startRegistry, type RegistryServer } from "../../support/registry-server.ts";

describe("referrers through a mirror", () => {
  let source: RegistryServer;
  let upstream: FaultyUpstream;
  let mirror: RegistryServer;
  let count = 0;

  before(async () => {
    source = await startRegistry();
    upstream = await FaultyUpstream.start(source.url);
  });

  beforeEach(async () => {
    upstream.calm();
    mirror = await startRegistry({ mirroring: { source: upstream.url, tags_cache_ttl: 0 } });
  });

  afterEach(async () => {
    await mirror.close();
  });

  after(async () => {
    await upstream.stop();
    await source.close();
  });

  /** An image at the source, in a repository of its own. */
  async function subject(): Promise<{ readonly name: string; readonly digest: string; readonly size: number }> {
    const name = `foo/app${++count}`;
    const { digest, bytes } = await pushManifest(source.client, name, "v1", await imageManifest(source.client, name, name)); // prettier-ignore
    return { name, digest, size: bytes.length };
  }

  async function refer(registry: RegistryServer, to: Awaited<ReturnType<typeof subject>>, artifactType: string) {
    const image = await imageManifest(registry.client, to.name, artifactType);
    const bytes = { ...image, artifactType, subject: { mediaType: imageType, digest: to.digest, size: to.size } };
    return (await pushManifest(registry.client, to.name, digestOf(JSON.stringify(bytes)), bytes)).digest;
  }

  async function list({ name, digest }: { readonly name: string; readonly digest: string }, query = "") {
    const { body, headers } = await mirror.client.expect([200], "GET", `/v2/${name}/referrers/${digest}${query}`);
    const { manifests } = JSON.parse(body.toString()) as { manifests: { digest: string; artifactType: string }[] };
    return {
      digests: manifests.map((each) => each.digest),
      types: manifests.map((each) => each.artifactType),
      headers,
    };
  }

  it("are those of the source and ours, each once, in pages and by type", async () => {
    const image = await subject();
    const theirs = [await refer(source, image, "test/signature"), await refer(source, image, "test/sbom")];
    expect((await list(image)).digests).to.deep.equal([...theirs].sort());
    await mirror.client.expect([200], "GET", `/v2/${image.name}/manifests/${theirs[0] ?? ""}`);
    await mirror.client.expect([200], "GET", `/v2/${image.name}/manifests/v1`);
    const all = [...theirs, await refer(mirror, image, "test/ours")].sort();
    expect((await list(image)).digests).to.deep.equal(all);
    expect((await list(image, "?artifactType=test/sbom")).types).to.deep.equal(["test/sbom"]);
    const seen: string[] = [];
    for (let query = "?n=1"; query !== "";) {
      const { digests, headers } = await list(image, query);
      seen.push(...digests);
      query = /<[^?]*(\?[^>]*)>/.exec(String(headers["link"] ?? ""))?.[1] ?? "";
    }
    expect(seen).to.deep.equal(all);
  });

  it("are those of a tag where the source does not know of referrers", async () => {
    const image = await subject();
    const signature = await refer(source, image, "test/signature");
    const listed = { mediaType: imageType, digest: signature, size: 1, artifactType: "test/signature" };
    const tag = image.digest.replace(":", "-");
    await pushManifest(source.client, image.name, tag, { schemaVersion: 2, mediaType: indexType, manifests: [listed] }, indexType); // prettier-ignore
    upstream.unknown = "/referrers/";
    expect(await list(image)).to.deep.include({ digests: [signature], types: ["test/signature"] });
    expect((await list(await subject())).digests).to.deep.equal([]);
  });

  it("are those that are here, with a warning, when the source is out of order; of none nothing is said", async () => {
    const image = await subject();
    const [signature] = [await refer(source, image, "test/signature"), await refer(source, image, "test/sbom")];
    await mirror.client.expect([200], "GET", `/v2/${image.name}/manifests/${signature}`);
    upstream.substitute = { status: 500 };
    const { digests, headers } = await list(image);
    expect(digests).to.deep.equal([signature]);
    expect(headers["warning"]).to.contain("answers 500");
    const other = await subject();
    upstream.substitute = { status: 500 };
    await mirror.client.expect([502], "GET", `/v2/${other.name}/referrers/${other.digest}`);
    upstream.substitute = { status: 403 };
    expect((await list(other)).digests).to.deep.equal([]);
  });
});
