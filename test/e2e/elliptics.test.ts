import { createHash } from "node:crypto";
import { expect } from "chai";
import { describeRegistryInBucket } from "../support/bucket-registry.ts";
import { startElliptics, type EllipticsCluster } from "../support/elliptics/index.ts";
import { RawElliptics } from "../support/elliptics/raw-client.ts";
import { ellipticsOptions } from "../support/elliptics/settings.ts";
import { until } from "../support/program.ts";
import { imageOf } from "../support/v1-images.ts";
import { oldStore } from "../support/old-store.ts";

const mostAtOnce = 131_072;
const store = oldStore("0.9.1", 4);
let cluster: EllipticsCluster;

describeRegistryInBucket(
  "a registry on elliptics",
  async (_context, atEnd) => {
    cluster = await startElliptics({ layout: "ring", shards: 16 });
    atEnd(async () => {
      await cluster.close();
      cluster.check();
    });
    const options = { storage: "elliptics", ...ellipticsOptions(cluster) };
    const flavor = Object.entries(options).map(([key, value]) => `${key}: ${JSON.stringify(value)}`);
    return { flavor, port: cluster.nodes[0]!.port };
  },
  {
    redirects: false,
    more: (registry) => {
      it("serves what the original driver has written", async () => {
        const original = await RawElliptics.connect(cluster.nodes[1]!.port);
        for (const [path, content] of store.files) {
          await original.putContent(path, content);
        }
        // A layer that came in several blocks.
        const layer = Buffer.alloc(3 * mostAtOnce + 5, "a large layer ");
        const { id, json } = imageOf(layer);
        await original.streamWrite(`images/${id}/layer`, layer);
        await original.putContent(`images/${id}/json`, json);
        await original.putContent(`images/${id}/ancestry`, JSON.stringify([id]));
        const sum = createHash("sha256").update(json).update("\n").update(layer).digest("hex");
        await original.putContent(`images/${id}/_checksum`, `["sha256:${sum}"]`);
        original.close();
        const client = registry().client();
        const pulled = await client.pullImage(id);
        expect(pulled).to.deep.include({
          checksum: `sha256:${sum}`,
          layer: { size: layer.length, sha256: sha256(layer) },
        });
        for (const { repository, tag, images } of store.tags) {
          const pulled = await client.pull(repository, tag);
          expect(pulled.map(({ id, layer }) => [id, layer.sha256])).to.deep.equal(
            images.map(({ id, layer }) => [id, sha256(layer)]),
          );
        }
      });

      it("says that what is on a node that is away can't be had, not that it is missing", async () => {
        const images = store.tags.flatMap((tag) => tag.images);
        const ids = [...new Set(images.map(({ id }) => id))];
        const statuses = async (): Promise<ReadonlySet<number>> => {
          const client = registry().client();
          const answers = await Promise.all(ids.map((id) => client.send("HEAD", `/v1/images/${id}/layer`)));
          return new Set(answers.map(({ status }) => status));
        };
        await cluster.nodes[1]!.stop();
        expect(await statuses()).to.deep.equal(new Set([200, 503]));
        await cluster.nodes[1]!.start();
        await until("all are there", async () => (await statuses()).size === 1);
        expect(await statuses()).to.deep.equal(new Set([200]));
      });
    },
  },
);

function sha256(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}
