import { expect } from "chai";
import type { StorageDriver } from "../../../../src/drivers/storage/driver.ts";
import { endOfSuite } from "../../../support/end-of-suite.ts";
import { GlanceCloud } from "../../../support/glance-store.ts";
import { exists, keysOf, namesOf, put, textOf } from "../../../support/storage-content.ts";

const id = "a".repeat(64);
const json = JSON.stringify({ id, created: "2014-03-02T10:00:00Z", comment: "ü" });
const documents = { json, ancestry: JSON.stringify([id]), _checksum: "sha256:none" };

describe("images that the Python registry left in Glance", function () {
  this.timeout(600_000);
  let cloud: GlanceCloud;
  let driver: StorageDriver;
  const atEnd = endOfSuite();

  /** As version 1 of Glance's interface kept what the Python registry's driver gave it, but for the property `id`. */
  async function leave(): Promise<void> {
    const headers = { "x-auth-token": await cloud.keystone.token() };
    const properties = Object.entries(documents).map(([name, text]) => [`meta_${name}`, text]);
    const image = { name: "mine/app:v1", disk_format: "raw", container_format: "docker" };
    const made = await fetch(`${cloud.glance.url}/v2/images`, {
      method: "POST",
      headers: { ...headers, "content-type": "application/json" },
      body: JSON.stringify({ ...image, ...Object.fromEntries(properties) }),
    });
    const { file } = (await made.json()) as { readonly file: string };
    const content = { ...headers, "content-type": "application/octet-stream" };
    await fetch(cloud.glance.url + file, { method: "PUT", headers: content, body: "the layer" });
  }

  before(async function () {
    cloud = await GlanceCloud.start(this);
    atEnd(() => cloud.stop());
    await leave();
    driver = await cloud.open();
    atEnd(() => driver.close());
  });

  it("are found by the ids in their own descriptions, with their documents", async () => {
    expect(await textOf(driver, `images/${id}/layer`)).to.equal("the layer");
    expect(await textOf(driver, `images/${id}/layer`, { start: 4, end: 6 })).to.equal("la");
    for (const [name, text] of Object.entries(documents)) {
      expect(await textOf(driver, `images/${id}/${name}`)).to.equal(text);
      expect((await driver.stat(`images/${id}/${name}`)).size).to.equal(Buffer.byteLength(text));
    }
    expect(await exists(driver, `images/${id}/_inprogress`)).to.be.false;
    const names = ["_checksum", "ancestry", "json", "layer"];
    expect(await namesOf(driver, "images")).to.deep.equal([id]);
    expect(await namesOf(driver, `images/${id}`)).to.deep.equal(names);
    expect(await keysOf(driver, "")).to.deep.equal(names.map((name) => `images/${id}/${name}`));
  });

  it("can be changed: what is written counts, and what is deleted is gone", async () => {
    await put(driver, `images/${id}/ancestry`, "another");
    expect(await textOf(driver, `images/${id}/ancestry`)).to.equal("another");
    await driver.delete(`images/${id}/ancestry`);
    await driver.delete(`images/${id}/_checksum`);
    expect(await keysOf(driver, "images")).to.deep.equal([`images/${id}/json`, `images/${id}/layer`]);
  });

  it("keep their documents when the layer goes", async () => {
    await driver.move(`images/${id}/layer`, "docker/registry/v2/blobs/sha256/aa/aaaa/data");
    expect(await textOf(driver, "docker/registry/v2/blobs/sha256/aa/aaaa/data")).to.equal("the layer");
    expect(await textOf(driver, `images/${id}/json`)).to.equal(json);
    expect(await keysOf(driver, "images")).to.deep.equal([`images/${id}/json`]);
  });
});
