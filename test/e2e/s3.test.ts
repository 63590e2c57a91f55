import { expect } from "chai";
import { openS3 } from "../../src/drivers/storage/s3.ts";
import { describeRegistryInBucket } from "../support/bucket-registry.ts";
import { startProxiedBucket, type ProxiedBucket } from "../support/proxied-bucket.ts";
import { s3Flavor, s3Settings } from "../support/s3-server.ts";
import { source } from "../support/storage-content.ts";

let place: ProxiedBucket;

describeRegistryInBucket(
  "a registry on s3",
  async (context, atEnd) => {
    place = await startProxiedBucket(context, atEnd);
    return { flavor: s3Flavor(place.server, place.bucket, place.proxy.port), port: place.proxy.port };
  },
  {
    more: (registry) => {
      it("lists a page of 10,000 tags by one listing of the bucket", async () => {
        const { server, bucket, proxy } = place;
        const driver = await openS3(s3Settings(server, bucket));
        const digest = `sha256:${"0".repeat(64)}`;
        const tags = Array.from({ length: 10_000 }, (_, index) => `v${String(index).padStart(5, "0")}`);
        const folder = "docker/registry/v2/repositories/many/_manifests";
        let next = 0;
        const lane = async (): Promise<void> => {
          for (let tag = tags[next++]; tag !== undefined; tag = tags[next++]) {
            await driver.write(`${folder}/tags/${tag}/current/link`, source(digest), digest.length);
          }
        };
        await driver.write(`${folder}/revisions/sha256/${"0".repeat(64)}/link`, source(digest));
        await Promise.all(Array.from({ length: 48 }, lane));
        await driver.close();
        await (await fetch(`${registry().url}/v2/many/tags/list?n=1`)).text();
        for (const last of ["", "v00099", "v04999", "v09899"]) {
          proxy.requests.length = 0;
          const page = await fetch(`${registry().url}/v2/many/tags/list?n=100${last === "" ? "" : `&last=${last}`}`);
          const { tags: found } = (await page.json()) as { readonly tags: readonly string[] };
          const start = last === "" ? 0 : tags.indexOf(last) + 1;
          expect(found).to.deep.equal(tags.slice(start, start + 100));
          const listings = proxy.requests.filter((line) => line.includes("list-type=2") && line.includes("_manifests"));
          expect(listings, proxy.requests.join("\n")).to.have.length(1);
        }
      });
    },
  },
);
