import { createHash, randomBytes } from "node:crypto";
import { mkdir, open, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "chai";
import { parseDigest, type Digest } from "../../../src/server/registry/digest.ts";
import { parseOciName, parseOciTag } from "../../../src/server/registry/oci-names.ts";
import { blobKey, layerLinkKey, manifestLinkKey, ociTagKey } from "../../../src/server/registry/paths.ts";
import { endOfSuite } from "../../support/end-of-suite.ts";
import { digestOf, imageType } from "../../support/oci-image.ts";
import { removeFolder, temporaryFolder } from "../../support/program.ts";
import { RadosGateway } from "../../support/radosgw.ts";
import { s3Flavor } from "../../support/s3-server.ts";
import { beginCopy, writeFlavors, type CopyReport } from "../../support/store-copies.ts";

const mebibyte = 1_048_576;
const layers = 8;
const size = 64 * mebibyte;
const monitor = fileURLToPath(new URL("../../support/peak-memory.js", import.meta.url));

describe("memory of a copy", function () {
  this.timeout(600_000);
  let folder: string;
  const atEnd = endOfSuite();

  before(async () => {
    folder = await temporaryFolder("copy-memory");
    atEnd(() => removeFolder(folder));
    await writeSource(join(folder, "source"));
  });

  /** An image of large layers, which take no room on the disk: each is zeros, and ends with bytes of its own. */
  async function writeSource(store: string): Promise<void> {
    const put = async (key: string, content: string): Promise<string> => {
      const path = join(store, key);
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, content);
      return path;
    };
    const zeros = createHash("sha256");
    for (let at = mebibyte; at < size; at += mebibyte) zeros.update(Buffer.alloc(mebibyte));
    const name = parseOciName("large/app");
    const blobs: { readonly digest: Digest; readonly size: number; readonly mediaType: string }[] = [];
    for (let layer = 0; layer < layers; layer++) {
      const end = Buffer.concat([Buffer.alloc(mebibyte - 16), randomBytes(16)]);
      const digest = parseDigest(`sha256:${zeros.copy().update(end).digest("hex")}`);
      const file = await open(await put(blobKey(digest), ""), "w");
      await file.write(end, 0, end.length, size - end.length);
      await file.close();
      blobs.push({ digest, size, mediaType: "application/vnd.oci.image.layer.v1.tar" });
    }
    const config = {
      digest: parseDigest(digestOf("{}")),
      size: 2,
      mediaType: "application/vnd.oci.image.config.v1+json",
    };
    await put(blobKey(config.digest), "{}");
    const manifest = JSON.stringify({ schemaVersion: 2, mediaType: imageType, config, layers: blobs });
    const digest = parseDigest(digestOf(manifest));
    await put(blobKey(digest), manifest);
    for (const blob of [config, ...blobs]) await put(layerLinkKey(name, blob.digest), blob.digest);
    await put(manifestLinkKey(name, digest), digest);
    await put(ociTagKey(name, parseOciTag("v1")), digest);
  }

  async function peakOfCopyTo(target: readonly string[]): Promise<number> {
    const source = ["storage: local", `storage_path: ${join(folder, "source")}`];
    const config = await writeFlavors(join(folder, "config.yml"), { from: source, to: target });
    const env = { ...process.env, NODE_OPTIONS: `--import=${monitor}`, PEAK_MEMORY_FILE: join(folder, "peak") };
    const copy = beginCopy(config, [], env);
    expect(await copy.exited, copy.output).to.equal(0);
    const { blobs, problems } = JSON.parse(copy.output) as CopyReport;
    expect(problems).to.deep.equal([]);
    expect(blobs.copied).to.equal(layers + 2);
    const peak = Number(await readFile(join(folder, "peak"), "utf8"));
    process.stderr.write(`      peak memory ${Math.round(peak / 1e6)} MB\n`);
    return peak;
  }

  it(`stays below 200 MB while ${layers} large layers pass to a folder`, async () => {
    expect(await peakOfCopyTo(["storage: local", `storage_path: ${join(folder, "target")}`])).to.be.lessThan(200e6);
  });

  it(`stays below 200 MB while ${layers} large layers pass to a bucket`, async function () {
    const gateway = await RadosGateway.start(this);
    atEnd(() => gateway.stop());
    expect(await peakOfCopyTo(s3Flavor(gateway, await gateway.newBucket()))).to.be.lessThan(200e6);
  });
});
