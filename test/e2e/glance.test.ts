import { randomBytes } from "node:crypto";
import { expect } from "chai";
import type { Context } from "mocha";
import { describeRegistryInBucket } from "../support/bucket-registry.ts";
import { ContainerTools, needsContainerTools } from "../support/container-tools.ts";
import { GlanceCloud } from "../support/glance-store.ts";
import { writeImage } from "../support/image-layout.ts";
import { digestOf } from "../support/oci-image.ts";
import { until } from "../support/program.ts";
import { smallChain } from "../support/v1-images.ts";

let cloud: GlanceCloud;

const alternates = {
  "a folder": { start: (context: Context) => GlanceCloud.start(context), path: () => cloud.folder() },
  Swift: { start: (context: Context) => GlanceCloud.startWithSwift(context), path: () => "/registry" },
};

for (const [alternate, { start, path }] of Object.entries(alternates))
  describeRegistryInBucket(
    `a registry on glance, with ${alternate} for all but layers`,
    async (context, atEnd) => {
      cloud = await start(context);
      atEnd(() => cloud.stop());
      const settings = { storage: "glance", ...cloud.settings(), storage_path: await path() };
      return {
        flavor: Object.entries(settings).map(([key, value]) => `${key}: ${JSON.stringify(value)}`),
        port: cloud.glance.port,
      };
    },
    {
      redirects: false,
      large: alternate !== "Swift",
      more: (registry) => {
        it("names its images by what they are, and has no other file of a layer", async () => {
          const client = registry().client();
          await client.push("named/app", "latest", await smallChain(2));
          // What was written before may still be under way to its name, or its image's file to the end.
          await until("a file for each image", async () => {
            const names = (await cloud.images()).map(({ properties }) => properties["name"]);
            expect(names).to.have.length.above(2);
            for (const name of names) expect(name).to.match(/^sha256:[0-9a-f]{64}$/);
            expect(await cloud.glance.storedFiles()).to.equal(names.length);
            return true;
          });
        });

        it("goes on with an upload after it was killed, and sends its bytes to Glance once", async () => {
          const blob = randomBytes(1_048_576);
          const digest = digestOf(blob);
          const { url } = registry();
          const begun = await fetch(`${url}/v2/killed/app/blobs/uploads/`, { method: "POST" });
          const body = new Blob([blob]).stream();
          const location = new URL(begun.headers.get("location") ?? "", url);
          const patched = await fetch(location, { method: "PATCH", body, duplex: "half" });
          expect(patched.status).to.equal(202);
          const waiting = (await cloud.images()).filter(({ key, upload }) => key === undefined && upload !== undefined);
          expect(waiting.map(({ size }) => size)).to.deep.equal([blob.length]);
          await registry().kill();
          await registry().restart();
          const next = new URL(patched.headers.get("location") ?? "", url);
          expect((await fetch(next)).headers.get("range")).to.equal(`0-${blob.length - 1}`);
          next.searchParams.set("digest", digest);
          expect((await fetch(next, { method: "PUT" })).status).to.equal(201);
          const named = (await cloud.images()).find(({ properties }) => properties["name"] === digest);
          expect(named?.id).to.equal(waiting[0]?.id);
          const pulled = await (await fetch(`${url}/v2/killed/app/blobs/${digest}`)).arrayBuffer();
          expect(digestOf(Buffer.from(pulled))).to.equal(digest);
        });

        it("makes one image of what comes in several requests", async () => {
          const parts = Array.from({ length: 3 }, () => randomBytes(524_288));
          const digest = digestOf(Buffer.concat(parts));
          const { url } = registry();
          const before = (await cloud.images()).length;
          const begun = await fetch(`${url}/v2/parts/app/blobs/uploads/`, { method: "POST" });
          let location = new URL(begun.headers.get("location") ?? "", url);
          for (const body of parts.slice(0, 2)) {
            const patched = await fetch(location, { method: "PATCH", body });
            expect(patched.status).to.equal(202);
            location = new URL(patched.headers.get("location") ?? "", url);
          }
          expect(await cloud.images(), "Glance adds nothing to an image").to.have.length(before + 1);
          location.searchParams.set("digest", digest);
          expect((await fetch(location, { method: "PUT", body: parts[2] ?? null })).status).to.equal(201);
          expect(await cloud.images()).to.have.length(before + 1);
          const pulled = await (await fetch(`${url}/v2/parts/app/blobs/${digest}`)).arrayBuffer();
          expect(digestOf(Buffer.from(pulled))).to.equal(digest);
        });

        it("makes an image of each layer that skopeo pushes, and leaves none of an upload that is cancelled", async function () {
          needsContainerTools(this, "skopeo");
          const address = `127.0.0.1:${registry().port}`;
          const tools = await ContainerTools.create({ address, authority: undefined });
          try {
            const { reference, images } = await writeImage(tools.path("large"), 1_048_576);
            await tools.skopeo("copy", reference, `docker://${address}/large/app:v1`);
            await tools.skopeo("copy", `docker://${address}/large/app:v1`, `oci:${tools.path("pulled")}:v1`);
            const names = (await cloud.images()).map(({ properties }) => properties["name"]);
            expect(names).to.include.members(images.flatMap(({ layers }) => layers));
          } finally {
            await tools.remove();
          }
          const { url } = registry();
          const before = await cloud.images();
          const begun = await fetch(`${url}/v2/large/app/blobs/uploads/`, { method: "POST" });
          const location = new URL(begun.headers.get("location") ?? "", url);
          const body = randomBytes(1_048_576);
          expect((await fetch(location, { method: "PATCH", body })).status).to.equal(202);
          expect(await cloud.images()).to.have.length(before.length + 1);
          expect((await fetch(location, { method: "DELETE" })).status).to.equal(204);
          expect(await cloud.images()).to.have.length(before.length);
        });
      },
    },
  );
