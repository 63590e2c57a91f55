import { expect } from "chai";
import { createHash } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { indexType, pushManifest } from "../../support/oci-image.ts";
import { RegistryProcess } from "../../support/registry-process.ts";
import type { V1Client } from "../../support/v1-client.ts";

const manifest = { schemaVersion: 2, manifests: [] };
const repository = "scale/tagged";
/** What docker-registry writes for a tag or a repository, without the manifest behind it. */
const digest = `sha256:${createHash("sha256").update("nothing").digest("hex")}`;
const digestPath = digest.replace(":", "/");

/** Names of the same length, so that their order is that of their numbers. */
function numbered(start: string, count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => `${start}${String(index).padStart(6, "0")}`);
}

const staying = numbered("stays-", 9_900);
const going = numbered("goes-", 100);
const coming = numbered("comes-", 100);
const repositories = [
  ...numbered("flat-", 1_000),
  ...numbered("flat-000000/deep-", 1_000),
  ...numbered("group/sub/", 2_999),
  repository,
].sort();

describe("a registry of 10,000 tags and 5,000 repositories", function () {
  this.timeout(600_000);
  let registry: RegistryProcess;
  let client: V1Client;

  before(async () => {
    registry = await RegistryProcess.start();
    client = registry.client();
    const root = join(registry.store, "docker/registry/v2/repositories");
    const put = async (path: string): Promise<void> => {
      await mkdir(dirname(join(root, path)), { recursive: true });
      await writeFile(join(root, path), digest);
    };
    for (const name of repositories) await put(`${name}/_layers/${digestPath}/link`);
    for (const tag of [...staying, ...going]) {
      await put(`${repository}/_manifests/tags/${tag}/index/${digestPath}/link`);
      await put(`${repository}/_manifests/tags/${tag}/current/link`);
    }
    await registry.stop();
    await registry.restart();
  });

  after(async () => {
    await registry.remove();
  });

  /** Follows the links from `path` on; every page is looked at as it comes. */
  const walk = async (path: string, look: (names: readonly string[]) => void): Promise<readonly string[]> => {
    const all: string[] = [];
    for (let next: string | undefined = path; next !== undefined;) {
      const answer = await client.expect([200], "GET", next);
      const { tags, repositories: found } = JSON.parse(answer.body.toString()) as Readonly<Record<string, string[]>>;
      const names = tags ?? found ?? [];
      look(names);
      all.push(...names);
      next = /^<([^>]+)>; rel="next"$/.exec(String(answer.headers["link"]))?.[1];
    }
    return all;
  };

  it("lists all repositories in pages, from anywhere", async () => {
    const full = (names: readonly string[]): void => {
      expect(names.length).to.be.at.most(300);
    };
    expect(await walk("/v2/_catalog?n=300", full)).to.deep.equal(repositories);
    for (const last of ["flat-000000", "flat-000000/deep-000500", "group/sub", "group/sub/001", "a", "zz"]) {
      const found = await walk(`/v2/_catalog?n=300&last=${encodeURIComponent(last)}`, full);
      expect(found, last).to.deep.equal(repositories.filter((name) => name > last));
    }
  });

  it("lists tags in order and none twice, and all that stay, while others come and go", async () => {
    const churn = async (): Promise<void> => {
      for (const [index, tag] of coming.entries()) {
        await pushManifest(client, repository, tag, manifest, indexType);
        await client.expect([202], "DELETE", `/v2/${repository}/manifests/${going[index] ?? ""}`);
      }
    };
    const changes = { running: true };
    const churned = churn().finally(() => (changes.running = false));
    for (let walks = 0; changes.running || walks < 2; walks++) {
      const names = await walk(`/v2/${repository}/tags/list?n=250`, (page) => {
        expect(page.length).to.be.at.most(250);
      });
      expect(names).to.deep.equal([...new Set(names)].sort());
      expect(names.filter((name) => name.startsWith("stays-"))).to.deep.equal(staying);
    }
    await churned;
    const after = await walk(`/v2/${repository}/tags/list?n=1000`, () => undefined);
    expect(after).to.deep.equal([...coming, ...staying].sort());
    const all = await walk(`/v2/${repository}/tags/list`, () => undefined);
    expect(all).to.deep.equal(after);
  });

  it("shows a tag to the next listing, and a deleted one no more", async () => {
    const page = async (): Promise<unknown> => {
      const { body } = await client.expect([200], "GET", `/v2/${repository}/tags/list?n=2&last=comes-000099`);
      return (JSON.parse(body.toString()) as { readonly tags: unknown }).tags;
    };
    for (let round = 0; round < 5; round++) {
      await pushManifest(client, repository, "next", manifest, indexType);
      expect(await page()).to.deep.equal(["next", "stays-000000"]);
      await client.expect([202], "DELETE", `/v2/${repository}/manifests/next`);
      expect(await page()).to.deep.equal(["stays-000000", "stays-000001"]);
    }
  });

  it("has done so within bounds of memory", async () => {
    expect(await registry.peakMemory()).to.be.below(160_000_000);
  });
});
