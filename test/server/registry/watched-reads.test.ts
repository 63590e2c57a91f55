import { expect } from "chai";
import type { StorageDriver } from "../../../src/drivers/storage/driver.ts";
import { openMemory } from "../../../src/drivers/storage/memory.ts";
import type { Watch } from "../../../src/drivers/storage/watches.ts";
import { parseDigest, type Digest } from "../../../src/server/registry/digest.ts";
import { parseImageDocument } from "../../../src/server/registry/image-push.ts";
import { parseImageId, parseRepositoryName, parseTagName } from "../../../src/server/registry/names.ts";
import { parseOciName, parseOciTag, parseReference } from "../../../src/server/registry/oci-names.ts";
import type { Registry } from "../../../src/server/registry/registry.ts";
import { bodyOf } from "../../support/blob-server.ts";
import { digestOf, imageType } from "../../support/oci-image.ts";
import { gathered } from "../../support/tar-bytes.ts";
import { imageOf, tarOf } from "../../support/v1-images.ts";
import { registryCores } from "../../support/registry-cores.ts";

describe("what reads depend on", () => {
  const name = parseOciName("some/image");
  const over = registryCores();
  const blob = parseDigest(digestOf("a blob"));
  let steps: string[];
  let registry: Registry;
  let manifest: Digest;

  before(async () => {
    steps = [];
    registry = over(telling(openMemory(), (step) => steps.push(step)));
    await registry.blobs.putAs(blob, bodyOf("a blob"));
    await registry.linkedBlobs.link(name, blob);
    const descriptor = { mediaType: "application/octet-stream", digest: blob, size: 6 };
    const bytes = Buffer.from(
      JSON.stringify({ schemaVersion: 2, mediaType: imageType, config: descriptor, layers: [descriptor] }),
    );
    ({ digest: manifest } = await registry.manifests.put(name, {
      bytes,
      contentType: imageType,
      digest: undefined,
      tags: [parseOciTag("v1")],
    }));
  });
  beforeEach(() => {
    steps.length = 0;
  });

  const watch: Watch = {
    isValid: true,
    add: (key) => steps.push(`watch ${key}`),
    addBelow: (folder) => steps.push(`watch ${folder}`),
    close: () => undefined,
  };
  const folder = "docker/registry/v2/repositories/some/image";
  const hexOf = (digest: Digest) => digest.slice("sha256:".length);

  /** Everything that was asked of the store, but for content that never changes, was watched before. */
  function expectWatched(keys: readonly string[]): void {
    for (const key of keys) expect(steps).to.include(`watch ${key}`);
    const asked = steps.filter((step) => !step.startsWith("watch ") && !step.endsWith(`${hexOf(manifest)}/data`));
    for (const step of asked) {
      const watched = steps.indexOf(`watch ${step.replace(/^\w+ /, "")}`);
      expect(watched, step).to.be.at.least(0).and.lessThan(steps.indexOf(step));
    }
  }

  it("is watched before a manifest is read by tag", async () => {
    await registry.manifests.get(name, parseReference("v1"), watch);
    expectWatched([
      `${folder}/_manifests/tags/v1/current/link`,
      `${folder}/_manifests/revisions/sha256/${hexOf(manifest)}/link`,
    ]);
  });

  it("is watched before a manifest is read by digest", async () => {
    await registry.manifests.get(name, { kind: "digest", digest: manifest }, watch);
    expectWatched([`${folder}/_manifests/revisions/sha256/${hexOf(manifest)}/link`]);
  });

  it("is watched before a tag of V1 is read, so that both protocols' pushes are seen", async () => {
    const image = imageOf(await tarOf("file", 10));
    const id = parseImageId(image.id);
    await registry.push.putDocument(parseImageDocument(id, image.json), async () => await Promise.resolve(true));
    await registry.push.putLayer(id, image.layer, false);
    const payload = digestOf(Buffer.concat([image.json, Buffer.from("\n"), await gathered(image.layer())]));
    await registry.push.putChecksum(id, { kind: "payload", value: payload });
    const [repository, tag] = [parseRepositoryName("some/image"), parseTagName("v2")];
    await registry.tags.put(repository, tag, id, "{}");
    steps.length = 0;
    await registry.manifests.get(name, parseReference("v2"), watch);
    const keys = [`${folder}/_manifests/tags/v2/current/link`, "repositories/some/image/tag_v2"];
    for (const key of keys) {
      const read = steps.findIndex((step) => step.endsWith(key) && !step.startsWith("watch "));
      expect(steps.indexOf(`watch ${key}`), key)
        .to.be.at.least(0)
        .and.lessThan(read);
    }
  });

  it("is watched before a blob is looked for", async () => {
    await registry.linkedBlobs.find(name, blob, watch);
    const hex = hexOf(blob);
    expectWatched([
      `${folder}/_layers/sha256/${hex}/link`,
      `docker/registry/v2/blobs/sha256/${hex.slice(0, 2)}/${hex}/data`,
    ]);
  });
});

/** A driver that tells of what it is asked for: the operation and the key. */
function telling(driver: StorageDriver, tell: (step: string) => void): StorageDriver {
  return new Proxy(driver, {
    get: (target, property) => {
      const value: unknown = Reflect.get(target, property, target);
      if (typeof value !== "function") return value;
      return (...args: readonly unknown[]): unknown => {
        if (property === "read" || property === "stat") tell(`${property} ${String(args[0])}`);
        return value.apply(target, args) as unknown;
      };
    },
  });
}
