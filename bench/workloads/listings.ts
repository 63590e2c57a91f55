import { manifestOver, type ManifestPut } from "../load/small-pushes.ts";
import type { Scale } from "../scale.ts";
import { PerTarget } from "./per-target.ts";
import type { Group, Target, Workload } from "./workload.ts";

const seeders = 8;
const blobSize = 4096;
const pageSize = 100;
const tagged = "bench/tags";

/** A page from the middle of the tags of a repository, and of the catalog, as both grow. */
export function listings(scale: Scale): Group {
  const seeds = new PerTarget<Seeds>();
  const seedsOf = async (target: Target): Promise<Seeds> => {
    if (!seeds.has(target)) seeds.set(target, await Seeds.push(target));
    return seeds.of(target);
  };
  const page = (path: string, last: string): string => `${path}?n=${pageSize}&last=${last}`;
  return {
    name: "listings",
    workloads: [
      ...scale.tags.map((count, index) =>
        listing(scale, {
          name: `tags-${full.tags[index] ?? count}`,
          title: `a page of tags among ${count.toLocaleString("en-US")}`,
          path: page(`/v2/${tagged}/tags/list`, tagName(Math.floor(count / 2))),
          seed: async (target) => {
            await (await seedsOf(target)).tags(count);
          },
        }),
      ),
      ...scale.repositories.map((count, index) =>
        listing(scale, {
          name: `catalog-${full.repositories[index] ?? count}`,
          title: `a page of the catalog among ${count.toLocaleString("en-US")}`,
          path: page("/v2/_catalog", repositoryName(Math.floor(count / 2))),
          seed: async (target) => {
            await (await seedsOf(target)).repositories(count);
          },
        }),
      ),
    ],
  };
}

/** The sizes that the workloads are named for. */
const full = { tags: [10, 1000, 10_000], repositories: [1000, 5000] };

function listing(
  scale: Scale,
  workload: {
    readonly name: string;
    readonly title: string;
    readonly path: string;
    readonly seed: (target: Target) => Promise<void>;
  },
): Workload {
  const { name, title, path, seed } = workload;
  return {
    name,
    title,
    unit: "requests/s",
    better: "more",
    per: "1000 requests",
    async prepare(target) {
      await seed(target);
      const { result } = await target.load.run("fetchBody", { url: target.server.url, path });
      checkPage(result.body, path);
    },
    async sample(target) {
      const { result, cpuSeconds } = await target.load.run("requests", {
        url: target.server.url,
        method: "GET",
        paths: [path],
        connections: 1,
        seconds: scale.seconds / 2,
        status: 200,
      });
      const { count, seconds, p99 } = result;
      return { value: count / seconds, work: count / 1000, client: { cpuSeconds, seconds }, p99 };
    },
  };
}

/** The page has to begin right behind `last`; docker-registry 2.8 knows no pages of tags and answers with all of them. */
function checkPage(body: string, path: string): void {
  const { tags, repositories } = parsePage(body);
  const names = tags ?? repositories ?? [];
  const last = new URLSearchParams(path.split("?")[1]).get("last") ?? "";
  const next = last.replace(/\d+$/, (digits) => String(Number(digits) + 1).padStart(digits.length, "0"));
  if (!names.includes(next)) throw new Error(`GET ${path} lacks ${next}: ${body.slice(0, 200)}`);
}

function parsePage(body: string): { readonly tags?: readonly string[]; readonly repositories?: readonly string[] } {
  return JSON.parse(body) as ReturnType<typeof parsePage>;
}

function tagName(index: number): string {
  return `tag-${String(index).padStart(6, "0")}`;
}

function repositoryName(index: number): string {
  return `catalog/repository-${String(index).padStart(6, "0")}`;
}

/** Tags and repositories, made over HTTP as anybody would; asked for more, only what is missing is made. */
class Seeds {
  readonly #target: Target;
  readonly #digest: string;
  readonly #body: string;
  #tags = 0;
  #repositories = 0;

  private constructor(target: Target, digest: string) {
    this.#target = target;
    this.#digest = digest;
    this.#body = manifestOver({ digest, size: blobSize }, "listed");
  }

  static async push(target: Target): Promise<Seeds> {
    const job = { url: target.server.url, repository: tagged, count: 1, size: blobSize, connections: 1 };
    return new Seeds(target, (await target.load.run("pushBlobs", job)).result.digest);
  }

  async tags(count: number): Promise<void> {
    const puts = range(this.#tags, count).map((index) => this.#put(tagged, tagName(index)));
    await this.#putAll(puts);
    this.#tags = Math.max(this.#tags, count);
  }

  async repositories(count: number): Promise<void> {
    const repositories = range(this.#repositories, count).map(repositoryName);
    if (repositories.length > 0) {
      const job = { url: this.#target.server.url, from: tagged, digest: this.#digest };
      await this.#target.load.run("mountBlob", { ...job, repositories, connections: seeders });
    }
    await this.#putAll(repositories.map((repository) => this.#put(repository, "latest")));
    this.#repositories = Math.max(this.#repositories, count);
  }

  #put(repository: string, reference: string): ManifestPut {
    return { repository, reference, body: this.#body };
  }

  async #putAll(manifests: readonly ManifestPut[]): Promise<void> {
    if (manifests.length === 0) return;
    await this.#target.load.run("putManifests", { url: this.#target.server.url, manifests, connections: seeders });
  }
}

function range(start: number, end: number): readonly number[] {
  return Array.from({ length: Math.max(0, end - start) }, (_, index) => start + index);
}
