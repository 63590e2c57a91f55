import { join } from "node:path";
import { expect } from "chai";
import { endOfSuite } from "../support/end-of-suite.ts";
import { gateSettings, GoogleGate } from "../support/gcs-gate.ts";
import { Glance } from "../support/glance.ts";
import { oldStore, writeStore } from "../support/old-store.ts";
import { removeFolder, temporaryFolder } from "../support/program.ts";
import { RegistryProcess } from "../support/registry-process.ts";
import { copied, objectsOf, writeFlavors } from "../support/store-copies.ts";
import { keystoneSettings, startSwiftWithKeystone } from "../support/swift-cloud.ts";
import { expectSamePulled, pushVariedImages } from "../support/varied-images.ts";

/** Old layers with a tarsum alone, and others with the sum of JSON and layer. */
const old = [oldStore("0.6.9", 1), oldStore("0.9.1", 3)];

describe("copying a store from cloud to cloud", function () {
  this.timeout(600_000);
  let folder: string;
  let config: string;
  const atEnd = endOfSuite();
  const storeOf = (flavor: "start" | "end"): string => join(folder, flavor);
  const linesOf = (settings: object): readonly string[] =>
    Object.entries(settings).map(([key, value]) => `${key}: ${JSON.stringify(value)}`);

  before(async function () {
    folder = await temporaryFolder("copy-clouds");
    atEnd(() => removeFolder(folder));
    const openstack = async () => {
      const swift = await startSwiftWithKeystone(this);
      atEnd(() => swift.stop());
      const glance = await Glance.start(this, swift.keystone);
      atEnd(() => glance.stop());
      return swift;
    };
    const google = async () => {
      const gate = await GoogleGate.start(this);
      atEnd(() => gate.stop());
      return gate;
    };
    const [swift, gate] = await Promise.all([openstack(), google()]);
    const alternate = { storage_alternate: "local", storage_path: join(folder, "alternate") };
    config = await writeFlavors(join(folder, "config.yml"), {
      start: linesOf({ storage: "local", storage_path: storeOf("start") }),
      swift: linesOf({ storage: "swift", ...swift.settings() }),
      glance: linesOf({ storage: "glance", ...keystoneSettings(swift.keystone), ...alternate }),
      gcs: linesOf(gateSettings(gate, await gate.newBucket())),
      end: linesOf({ storage: "local", storage_path: storeOf("end") }),
    });
    for (const { files } of old) await writeStore(storeOf("start"), files);
  });

  it("brings all of both protocols by Swift, Glance and GCS to another folder, where it is what it was", async () => {
    const from = await RegistryProcess.start([], storeOf("start"));
    atEnd(() => from.remove());
    const pushed = await pushVariedImages(from.client(), 300_000);
    const stops = ["start", "swift", "glance", "gcs", "end"];
    for (const [index, to] of stops.slice(1).entries()) {
      const { problems, blobs } = await copied(config, 0, "--from", stops[index] ?? "", "--to", to);
      expect(problems, to).to.deep.equal([]);
      expect(blobs.there, to).to.equal(0);
    }
    const again = await copied(config, 0, "--from", "start", "--to", "end", "--verify");
    expect(again.blobs).to.include({ copied: 0, repaired: 0, bytes: 0 });
    expect(again.tags).to.include({ copied: 0, replaced: 0 });
    const to = await RegistryProcess.start([], storeOf("end"));
    atEnd(() => to.remove());
    const tags = old.flatMap((store) => store.tags);
    await expectSamePulled(to.client(), from.client(), pushed, tags);
    await Promise.all([from.stop(), to.stop()]);
    // Caches, secrets of uploads, and what says when a layer's file was read are each server's own.
    const isOwn = /^images\/.*\/_files |^_registryctl\/(keys\/|adopted\/|v1\/images\/[^/]+\/manifest )/;
    const objects = async (flavor: "start" | "end") =>
      (await objectsOf(storeOf(flavor))).filter((line) => !isOwn.test(line));
    const ended = await objects("end");
    expect(ended).to.deep.equal(await objects("start"));
    expect(ended.filter((line) => line.includes("/_private "))).to.have.length(1);
    for (const { files } of old) {
      const layers = [...files.keys()].filter((key) => key.endsWith("/layer"));
      expect(ended.map((line) => line.split(" ")[0])).to.include.members(layers);
    }
  });
});
