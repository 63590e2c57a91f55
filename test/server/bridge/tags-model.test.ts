import { expect } from "chai";
import { BridgeModel, type ModelImage } from "../../support/bridge-model.ts";
import { pullImage, pushImage, sampleLayer } from "../../support/bridged-registry.ts";
import { pushBlob, pushManifest } from "../../support/oci-image.ts";
import { seededRandom, type Random } from "../../support/random.ts";
import { registryForEach } from "../../support/registry-for-each.ts";
import { smallChain } from "../../support/v1-images.ts";

const tags = ["a", "b", "c"];
const steps = 80;

/** A manifest and the blobs that a repository needs for it. */
interface Sample extends ModelImage {
  readonly bytes: Buffer;
  readonly blobs: readonly string[];
}

for (const storage of ["memory", "local"] as const) {
  describe(`one namespace of tags for both protocols, in ${storage} storage`, function () {
    this.timeout(300_000);
    const server = registryForEach(storage);

    const json = async (path: string) => {
      const { status, body } = await server.client.send("GET", path);
      if (status !== 404) expect(status, path).to.equal(200);
      return status === 404 ? undefined : (JSON.parse(body.toString()) as unknown);
    };

    async function sample(name: string, tag: string): Promise<Sample> {
      const { bytes, digest } = await read(name, tag);
      const { config, layers } = JSON.parse(bytes.toString()) as Record<"config", { digest: string }> & {
        layers: { digest: string }[];
      };
      const id = (await json(`/v1/repositories/${name}/tags/${tag}`)) as string | undefined;
      return { bytes, digest, id, blobs: [config, ...layers].map((blob) => blob.digest) };
    }

    async function read(name: string, tag: string): Promise<{ bytes: Buffer; digest: string }> {
      const { body, headers } = await server.client.expect([200], "GET", `/v2/${name}/manifests/${tag}`);
      return { bytes: body, digest: String(headers["docker-content-digest"]) };
    }

    /** Two images of V1, one of which another is built on; two of V2; an artifact. */
    async function samples(): Promise<readonly Sample[]> {
      const chain = await smallChain(2, 50);
      await server.client.push("sample/one", "v1", chain.slice(0, 1));
      await server.client.push("sample/two", "v1", chain);
      await pushImage(server.client, "sample/three", "v1", [sampleLayer("three")]);
      await pushImage(server.client, "sample/four", "v1", [sampleLayer("three"), sampleLayer("four")]);
      const config = await pushBlob(
        server.client,
        "sample/five",
        Buffer.from("{}"),
        "application/vnd.oci.empty.v1+json",
      );
      await pushManifest(server.client, "sample/five", "v1", { schemaVersion: 2, config, layers: [config] });
      const found = [];
      for (const name of ["one", "two", "three", "four", "five"]) found.push(await sample(`sample/${name}`, "v1"));
      await pullImage(server.client, "sample/two", "v1");
      return found;
    }

    async function push(name: string, tag: string, { bytes, blobs }: Sample): Promise<void> {
      for (const digest of blobs)
        await server.client.expect([201], "POST", `/v2/${name}/blobs/uploads/?mount=${digest}`);
      await server.client.expect([201], "PUT", `/v2/${name}/manifests/${tag}`, {
        headers: { "Content-Type": "application/vnd.oci.image.manifest.v1+json" },
        body: bytes,
      });
    }

    async function step(random: Random, model: BridgeModel, all: readonly Sample[]): Promise<string> {
      const pick = <T>(list: readonly T[]): T => list[random(list.length)]!;
      const [name, repository, tag, image] = [pick(model.names), pick(model.repositories), pick(tags), pick(all)];
      const status = async (method: string, path: string) => (await server.client.send(method, path)).status;
      switch (random(8)) {
        case 0:
        case 1:
          await push(name, tag, image);
          model.pushV2(name, tag, image.digest);
          return `push ${name}:${tag}`;
        case 2:
        case 3:
          if (image.id === undefined) return "nothing";
          await server.client.expect([200], "PUT", `/v1/repositories/${repository}/tags/${tag}`, {
            body: Buffer.from(JSON.stringify(image.id)),
          });
          model.tagV1(repository, tag, image.id);
          return `tag ${repository}:${tag}`;
        case 4: {
          const found = await status("DELETE", `/v2/${name}/manifests/${tag}`);
          expect(found).to.equal(model.deleteTagV2(name, tag) ? 202 : 404);
          return `delete ${name}:${tag} through V2`;
        }
        case 5: {
          const found = await status("DELETE", `/v1/repositories/${repository}/tags/${tag}`);
          expect(found).to.equal(model.deleteTagV1(repository, tag) ? 200 : 404);
          return `delete ${repository}:${tag} through V1`;
        }
        case 6: {
          const found = await status("DELETE", `/v2/${name}/manifests/${image.digest}`);
          expect(found).to.equal(model.deleteManifest(name, image.digest, tags) ? 202 : 404);
          return `delete ${name}@${image.digest}`;
        }
        default: {
          if (random(4) > 0) return "nothing";
          const found = await status("DELETE", `/v1/repositories/${repository}/`);
          expect(found).to.equal(model.deleteRepository(repository, tags) ? 200 : 404);
          return `delete ${repository}`;
        }
      }
    }

    async function expectLike(model: BridgeModel): Promise<void> {
      for (const name of model.names) {
        const digests = new Map(tags.map((tag) => [tag, model.digestOf(name, tag)]));
        for (const method of ["GET", "HEAD"]) {
          for (const [tag, digest] of digests) {
            const { headers } = await server.client.send(method, `/v2/${name}/manifests/${tag}`);
            expect(headers["docker-content-digest"], `${method} ${name}:${tag}`).to.equal(digest);
          }
        }
        const listed = tags.filter((tag) => digests.get(tag) !== undefined);
        const list = await json(`/v2/${name}/tags/list`);
        expect(list, name).to.deep.equal(model.existsInV2(name) ? { name, tags: listed } : undefined);
      }
      for (const repository of model.repositories) {
        const ids = tags.map((tag) => [tag, model.idOf(repository, tag)] as const);
        for (const [tag, id] of ids) {
          expect(await json(`/v1/repositories/${repository}/tags/${tag}`), `${repository}:${tag}`).to.equal(id);
        }
        const there = Object.fromEntries(ids.filter(([, id]) => id !== undefined));
        const list = await json(`/v1/repositories/${repository}/tags`);
        expect(list, repository).to.deep.equal(model.existsInV1(repository) ? there : undefined);
      }
      const { repositories } = (await json("/v2/_catalog")) as { repositories: string[] };
      expect(repositories.filter((name) => !name.startsWith("sample/"))).to.deep.equal(model.catalog());
    }

    it("is what a simple model says, whatever is pushed, tagged and deleted", async function () {
      const random = seededRandom(this);
      const all = await samples();
      const model = new BridgeModel(["foo/bar", "library/x"], all);
      const done: string[] = [];
      try {
        for (let count = 0; count < steps; count++) {
          done.push(await step(random, model, all));
          await expectLike(model);
        }
      } catch (error) {
        throw new Error(`after: ${done.slice(-12).join("; ")}`, { cause: error });
      }
    });
  });
}
