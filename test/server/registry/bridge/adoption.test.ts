import { expect } from "chai";
import type { StorageDriver } from "../../../../src/drivers/storage/driver.ts";
import { openMemory } from "../../../../src/drivers/storage/memory.ts";
import { Adoption } from "../../../../src/server/registry/bridge/adoption.ts";
import type { AdoptionCounts } from "../../../../src/server/registry/bridge/adoption-run.ts";
import { ImageChecks } from "../../../../src/server/registry/bridge/image-check.ts";
import type { Problem } from "../../../../src/server/registry/bridge/problems.ts";
import { BridgeRecords } from "../../../../src/server/registry/bridge/records.ts";
import { V1Walk } from "../../../../src/server/registry/bridge/v1-walk.ts";
import { Documents } from "../../../../src/server/registry/documents.ts";
import { Events } from "../../../../src/server/registry/events.ts";
import { Images } from "../../../../src/server/registry/images.ts";
import { LayerAnalysis } from "../../../../src/server/registry/layers/analysis.ts";
import { createRegistry } from "../../../../src/server/registry/registry.ts";
import { failing } from "../../../support/failing-driver.ts";
import { oldStore, oldVersions } from "../../../support/old-store.ts";
import { bytesOf, keysOf, put } from "../../../support/storage-content.ts";
import { chunked, tarOf } from "../../../support/tar-bytes.ts";

const id = (letter: string) => letter.repeat(64);

describe("an adoption", function () {
  this.timeout(600_000);
  const analysis = new LayerAnalysis();
  after(async () => {
    await analysis.close();
  });

  async function adopt(
    driver: StorageDriver,
    depth: "documents" | "layers" | "adopt",
    signal = new AbortController().signal,
  ): Promise<{
    readonly counts: AdoptionCounts;
    readonly problems: readonly Problem[];
    readonly read: number;
    readonly planned: number;
  }> {
    const limits = { maxSize: 0, maxAge: 24 };
    const registry = createRegistry({ driver, analysis, limits, events: new Events(() => undefined) });
    const documents = new Documents(driver);
    const [images, records] = [new Images(driver, documents), new BridgeRecords(documents)];
    const checks = new ImageChecks({ ...registry, driver, documents, images, records, analysis });
    const walk = new V1Walk({ documents, images, tags: registry.own.tags });
    const problems: Problem[] = [];
    let [read, planned] = [0, 0];
    const counts = await new Adoption({
      ...registry.own,
      ...registry,
      ...registry.own,
      driver,
      walk,
      images,
      checks,
      records,
    }).run({
      depth,
      signal,
      onProblem: (problem) => problems.push(problem),
      onPlan: ({ bytes }) => (planned = bytes),
      onStep: ({ bytes = 0 }) => (read += bytes),
    });
    const order = (one: Problem, other: Problem) => (JSON.stringify(one) < JSON.stringify(other) ? -1 : 1);
    return { counts, problems: problems.sort(order), read, planned };
  }

  async function storeOf(files: ReadonlyMap<string, string | Buffer>): Promise<StorageDriver> {
    const store = openMemory();
    for (const [key, content] of files) await store.write(key, chunked(Buffer.from(content)));
    return store;
  }

  /** All that V2 has, with its content. */
  async function stateOf(store: StorageDriver): Promise<readonly string[]> {
    const keys = await keysOf(store, "docker/registry/v2");
    return await Promise.all(keys.map(async (key) => `${key} ${(await bytesOf(store, key)).toString("base64")}`));
  }

  async function damagedStore(): Promise<StorageDriver> {
    const store = openMemory();
    const image = async (letter: string, parent?: string, layer = tarOf({ name: letter })) => {
      await put(
        store,
        `images/${id(letter)}/json`,
        JSON.stringify({ id: id(letter), ...(parent && { parent: id(parent) }) }),
      );
      await put(store, `images/${id(letter)}/_checksum`, `["sha256:${"0".repeat(64)}"]`);
      await store.write(`images/${id(letter)}/layer`, chunked(layer));
    };
    await image("a");
    await image("b", "a");
    await image("c", "b", Buffer.from("no archive".repeat(100)));
    await image("d", "9");
    await image("e");
    await store.delete(`images/${id("e")}/layer`);
    await image("f");
    await put(store, `images/${id("f")}/_inprogress`, "true");
    await image("0");
    await put(store, `images/${id("0")}/json`, "{");
    await image("1");
    await store.delete(`images/${id("1")}/_checksum`);
    await image("2");
    await image("3");
    await put(store, `images/${id("3")}/_inprogress`, "true");
    const tags = {
      a: "a",
      child: "b",
      torn: "c",
      orphan: "d",
      "lost-layer": "e",
      unfinished: "f",
      damaged: "0",
      unsure: "1",
    };
    for (const [tag, letter] of Object.entries(tags)) await put(store, `repositories/foo/bar/tag_${tag}`, id(letter));
    await put(store, "repositories/foo/bar/tag_empty", "");
    await put(store, "repositories/foo/bar/tag_nowhere", id("8"));
    await put(store, "repositories/foo/bar/tag_a%2B1+x", id("a"));
    await put(store, "repositories/foo/Bar/tag_v1", id("a"));
    return store;
  }

  const summary = (problems: readonly Problem[]) =>
    problems
      .map(
        ({ severity, kind, repository = "", tag = "", image = "" }) =>
          `${severity} ${kind} ${repository}:${tag} ${image.slice(0, 1)}`,
      )
      .sort();

  const expected = [
    "broken document-damaged foo/bar:damaged 0",
    "broken image-missing foo/bar:nowhere 8",
    "broken image-missing foo/bar:orphan 9",
    "broken layer-damaged foo/bar:torn c",
    "broken layer-missing foo/bar:lost-layer e",
    "broken push-unfinished foo/bar:unfinished f",
    "broken tag-dangling foo/bar:empty ",
    "note checksum-missing foo/bar:unsure 1",
    "note image-untagged : 2",
    "note push-abandoned : 3",
    "warning name-unspellable foo/Bar: ",
    "warning tag-unspellable foo/bar:a+1 x ",
  ];
  const withoutPlaces = (lines: readonly string[]) => lines.filter((line) => !line.includes("checksum-differs"));

  it("tells everything that is wrong, the same before, while and after it prepares", async () => {
    const store = await damagedStore();
    const keys = await keysOf(store, "");
    const looked = await adopt(store, "layers");
    expect(withoutPlaces(summary(looked.problems))).to.deep.equal(expected);
    expect(looked.counts).to.deep.equal({
      ...{
        repositories: 2,
        tags: 12,
        images: 10,
        untaggedImages: 1,
        unfinishedPushes: 1,
        sound: 5,
        broken: 7,
        prepared: 0,
      },
    });
    expect(await keysOf(store, "")).to.deep.equal(keys);
    const prepared = await adopt(store, "adopt");
    expect(prepared.counts).to.deep.equal({ ...looked.counts, prepared: 5 });
    const again = await adopt(store, "adopt");
    expect(again.counts).to.deep.equal(prepared.counts);
    for (const { problems } of [prepared, again]) {
      expect(withoutPlaces(summary(problems))).to.deep.equal(expected);
      expect(
        problems
          .filter(({ kind }) => kind === "checksum-differs")
          .map(({ image }) => image)
          .sort(),
      ).to.deep.equal(
        looked.problems
          .filter(({ kind }) => kind === "checksum-differs")
          .map(({ image }) => image)
          .sort(),
      );
    }
    expect(looked.problems.filter(({ kind }) => kind === "checksum-differs").length).to.equal(3);
    expect([looked.read, prepared.read, again.read]).to.deep.equal([looked.planned, prepared.planned, 0]);
  });

  it("reads no layer when only documents are asked for", async () => {
    const { read, counts, problems } = await adopt(await damagedStore(), "documents");
    expect([read, counts.broken]).to.deep.equal([0, 6]);
    expect(summary(problems)).not.to.include("broken layer-damaged foo/bar:torn c");
  });

  for (const version of oldVersions) {
    it(`finds nothing wrong in what ${version} wrote, and right checksums`, async () => {
      const { files, tags } = oldStore(version, 10);
      const { problems, counts } = await adopt(await storeOf(files), "layers");
      expect(counts.sound).to.equal(tags.length);
      expect(problems.filter(({ kind }) => !/unspellable|untagged/.test(kind))).to.deep.equal([]);
    });
  }

  for (const when of ["before", "after"] as const) {
    it(`ends in the same state, whichever call fails ${when} its effect`, async () => {
      const files = new Map([...oldStore("0.7.1", 3).files].filter(([key]) => !key.includes("more")));
      const counting = failing(await storeOf(files), { nth: Infinity, when });
      const whole = await adopt(counting, "adopt");
      const state = await stateOf(counting);
      expect(state.length).to.be.greaterThan(20);
      let failed = 0;
      for (let nth = 1; nth <= counting.calls; nth++) {
        const store = await storeOf(files);
        await adopt(failing(store, { nth, when }), "adopt").catch(() => failed++);
        const resumed = await adopt(store, "adopt");
        expect(resumed.counts, `after call ${nth}`).to.deep.equal(whole.counts);
        expect(await stateOf(store), `after call ${nth}`).to.deep.equal(state);
        for (const [key, content] of files)
          expect((await bytesOf(store, key)).equals(Buffer.from(content)), key).to.equal(true);
      }
      expect(failed).to.be.greaterThan(counting.calls / 2);
    });
  }

  it("stops when it is told to, with the reason, and goes on later", async () => {
    const store = await storeOf(oldStore("0.9.1", 6).files);
    const stop = new AbortController();
    const reason = new Error("enough");
    let steps = 0;
    const stopping = new Proxy(store, {
      get: (target, name) => {
        if (name === "link" && ++steps === 5) stop.abort(reason);
        const value: unknown = Reflect.get(target, name);
        return typeof value === "function" ? (value as () => unknown).bind(target) : value;
      },
    });
    const outcome = await adopt(stopping, "adopt", stop.signal).catch((error: unknown) => error);
    expect(outcome).to.equal(reason);
    const other = await storeOf(oldStore("0.9.1", 6).files);
    const [resumed, whole] = [await adopt(store, "adopt"), await adopt(other, "adopt")];
    expect(resumed.counts).to.deep.equal(whole.counts);
    expect(await stateOf(store)).to.deep.equal(await stateOf(other));
  });
});
