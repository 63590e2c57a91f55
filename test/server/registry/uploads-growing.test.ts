import { readdir, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import { openLocal } from "../../../src/drivers/storage/local.ts";
import type { StorageDriver } from "../../../src/drivers/storage/driver.ts";
import { RegistryError } from "../../../src/server/errors.ts";
import { parseDigest, type Digest } from "../../../src/server/registry/digest.ts";
import { parseOciName } from "../../../src/server/registry/oci-names.ts";
import { blobCore, bodyOf, bytesOf, keysOf, type BlobCore } from "../../support/blob-server.ts";
import { failing } from "../../support/failing-driver.ts";
import { digestOf } from "../../support/oci-image.ts";
import { removeFolder, temporaryFolder } from "../../support/program.ts";
import { refusal } from "../../support/refusal.ts";

const name = parseOciName("a/b");
const digest = (text: string, algorithm?: string): Digest => parseDigest(digestOf(text, algorithm));

/** Adds `text` as a client does that says where it belongs. */
async function append({ uploads }: BlobCore, id: string, start: number, text: string): Promise<number> {
  return await uploads.append(name, id, { source: bodyOf(text), range: { start, end: start + text.length } });
}

/** Yields `text`, and ends when `release` is called. */
function held(text: string): { source: AsyncIterable<Uint8Array>; begun: Promise<void>; release: () => void } {
  let release: () => void = () => undefined;
  let begin: () => void = () => undefined;
  const begun = new Promise<void>((resolve) => (begin = resolve));
  const released = new Promise<void>((resolve) => (release = resolve));
  const source = (async function* () {
    yield Buffer.from(text);
    begin();
    await released;
  })();
  return { source, begun, release };
}

async function* broken(text: string): AsyncGenerator<Uint8Array> {
  yield await Promise.resolve(Buffer.from(text));
  throw new RegistryError("BODY_INCOMPLETE");
}

describe("uploads whose bodies go into one object", () => {
  let folder = "";
  let driver: StorageDriver;
  let core: BlobCore;
  /** Another process on the same store. */
  let other: BlobCore;
  beforeEach(async () => {
    folder = await temporaryFolder();
    driver = await openLocal(folder);
    core = blobCore(driver);
    other = blobCore(driver);
  });
  afterEach(async () => {
    await driver.close();
    await removeFolder(folder);
  });

  const content = async (text: string): Promise<string> =>
    (await bytesOf(await core.linkedBlobs.open(name, digest(text)))).toString();
  const dataFile = async (id: string): Promise<string> => {
    const data = join(folder, "_registryctl/uploads", id, "data");
    return join(data, (await readdir(data))[0] ?? "");
  };
  const leftovers = async (): Promise<readonly string[]> => await keysOf(driver, "_registryctl/uploads");

  it("are neither read nor written again", async () => {
    const counting = failing(driver, { operation: "read", nth: Infinity, when: "before" });
    const writing = failing(counting, { operation: "write", nth: Infinity, when: "before" });
    const counted = blobCore(writing);
    for (const last of ["", "!"]) {
      const id = await counted.uploads.start(name);
      const [reads, writes] = [counting.calls, writing.calls];
      expect(await append(counted, id, 0, "hello, ")).to.equal(7);
      expect(await append(counted, id, 7, "wor")).to.equal(10);
      expect(await counted.uploads.append(name, id, { source: bodyOf("ld") })).to.equal(12);
      await counted.uploads.finish(name, id, digest(`hello, world${last}`), { source: bodyOf(last) });
      expect([counting.calls - reads, writing.calls - writes], "the link alone is written").to.deep.equal([0, 1]);
      expect(await content(`hello, world${last}`)).to.equal(`hello, world${last}`);
    }
    expect(await leftovers()).to.deep.equal([]);
  });

  it("stay as they were when a body breaks off, also the first and the last", async () => {
    const id = await core.uploads.start(name);
    const wrong = { source: broken("xxxxxxxxxxxxxxxx"), range: { start: 0, end: 20 } };
    expect(await refusal(core.uploads.append(name, id, wrong))).to.equal("BODY_INCOMPLETE");
    expect(await leftovers()).to.deep.equal([]);
    await append(core, id, 0, "one ");
    expect(await refusal(core.uploads.append(name, id, { source: broken("xxxxxxxxxxxxxxxx") }))).to.equal(
      "BODY_INCOMPLETE",
    );
    expect(await core.uploads.size(name, id)).to.equal(4);
    await append(core, id, 4, "two ");
    const last = { source: broken("xxxxxxxxxxxxxxxx") };
    expect(await refusal(core.uploads.finish(name, id, digest("one two three"), last))).to.equal("BODY_INCOMPLETE");
    expect(await refusal(core.uploads.finish(name, id, digest("one"), { source: bodyOf("more") }))).to.equal(
      "DIGEST_INVALID",
    );
    expect(await refusal(core.uploads.finish(name, id, digest("one")))).to.equal("DIGEST_INVALID");
    await core.uploads.finish(name, id, digest("one two "));
    expect(await content("one two ")).to.equal("one two ");
  });

  it("go on in another process and back, whatever the first has left behind its last body", async () => {
    const id = await core.uploads.start(name);
    await append(core, id, 0, "one ");
    await refusal(core.uploads.append(name, id, { source: broken("xxxxxxxxxxxxxxxx") }));
    await append(core, id, 4, "two ");
    await refusal(core.uploads.append(name, id, { source: broken("xxxxxxxxxxxxxxxx") }));
    await append(other, id, 8, "three ");
    await append(core, id, 14, "four ");
    expect(await append(other, id, 19, "five")).to.equal(23);
    await core.uploads.finish(name, id, digest("one two three four five"));
    expect(await content("one two three four five")).to.equal("one two three four five");
    expect(await leftovers()).to.deep.equal([]);
  });

  for (const finisher of ["this", "another"] as const) {
    it(`are finished by ${finisher} process without what is still coming, that is refused then`, async () => {
      const id = await core.uploads.start(name);
      await append(core, id, 0, "hello");
      const late = held("x".repeat(200_000));
      const coming = refusal(core.uploads.append(name, id, { source: late.source }));
      await late.begun;
      await (finisher === "this" ? core : other).uploads.finish(name, id, digest("hello"));
      late.release();
      expect(await coming).to.be.oneOf(["BLOB_UPLOAD_UNKNOWN", "BLOB_UPLOAD_OUT_OF_ORDER"]);
      expect(await content("hello")).to.equal("hello");
      expect(await leftovers()).to.deep.equal([]);
    });
  }

  it("take one of two bodies that come at the same time", async () => {
    for (const rival of [core, other]) {
      const id = await core.uploads.start(name);
      await append(core, id, 0, "hello");
      const [first, second] = [held(" first"), held(" second")];
      const coming = [
        refusal(core.uploads.append(name, id, { source: first.source })),
        refusal(rival.uploads.append(name, id, { source: second.source })),
      ];
      await Promise.all([first.begun, second.begun]);
      first.release();
      second.release();
      const outcomes = await Promise.all(coming);
      expect([...outcomes].sort()).to.deep.equal(["BLOB_UPLOAD_OUT_OF_ORDER", "done"]);
      const whole = outcomes[0] === "done" ? "hello first" : "hello second";
      await append(core, id, whole.length, "!");
      await core.uploads.finish(name, id, digest(`${whole}!`));
      expect(await content(`${whole}!`)).to.equal(`${whole}!`);
    }
  });

  it("are read again where the digest is of another algorithm than was announced", async () => {
    const id = await core.uploads.start(name);
    await append(core, id, 0, "hello, ");
    await append(core, id, 7, "world");
    const sha512 = digest("hello, world", "sha512");
    await core.uploads.finish(name, id, sha512);
    expect((await core.linkedBlobs.stat(name, sha512)).size).to.equal(12);
  });

  it("are refused by the next process where a power cut has taken content", async () => {
    const damages = {
      DIGEST_INVALID: async (file: string) => {
        await writeFile(file, "hello, \0\0\0\0\0");
      },
      BLOB_UPLOAD_UNKNOWN: async (file: string) => {
        await truncate(file, 3);
      },
    };
    for (const [code, damage] of Object.entries(damages)) {
      const id = await core.uploads.start(name);
      await append(core, id, 0, "hello, ");
      await append(core, id, 7, "world");
      await damage(await dataFile(id));
      expect(await refusal(other.uploads.finish(name, id, digest("hello, world")))).to.equal(code);
      expect(await core.linkedBlobs.has(name, digest("hello, world"))).to.equal(false);
    }
  });

  for (const when of ["before", "after"] as const) {
    it(`are finished in the end, in this process or another, after any call has failed ${when} its effect`, async function () {
      this.timeout(180_000);
      for (let nth = 1, reached = true; reached; nth++) {
        const text = `hello ${when} ${nth}`;
        const faulty = failing(driver, { nth, when });
        const process = blobCore(faulty);
        const id = await core.uploads.start(name);
        let sent = 0;
        const isDone = async (by: BlobCore): Promise<boolean> => {
          while (sent < text.length) sent = await append(by, id, sent, text.slice(sent, sent + 6));
          await by.uploads.finish(name, id, digest(text));
          return true;
        };
        const resumed = async (by: BlobCore): Promise<boolean> => {
          sent = await by.uploads.size(name, id);
          return await isDone(by);
        };
        const first = await isDone(process).catch(() => false);
        const resumes = nth % 2 === 0 ? process : other;
        if (!first) expect(await resumed(resumes).catch(() => false), `after call ${nth}`).to.equal(true);
        expect(await content(text)).to.equal(text);
        reached = faulty.calls >= nth;
      }
    });
  }
});
