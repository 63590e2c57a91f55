import { readdirSync, readlinkSync } from "node:fs";
import { Readable } from "node:stream";
import { gzipSync } from "node:zlib";
import { expect } from "chai";
import { LayerAnalysis } from "../../../../src/server/registry/layers/analysis.ts";
import { fileList } from "../../../../src/server/registry/layers/file-list.ts";
import { tarsum } from "../../../../src/server/registry/layers/tarsum.ts";
import { until } from "../../../support/program.ts";
import { chunked, failure, gathered, tarEntry, tarOf } from "../../../support/tar-bytes.ts";

const json = Buffer.from('{"id": "00ff"}');

/** An archive with a file of its own. */
function layerWith(name: string, content = "x"): Buffer {
  return tarOf({ name: "./common" }, { name: `./${name}`, content: Buffer.from(content) });
}

/** A layer that goes on for ever, one file after the other. */
function endless(): Readable {
  const files = Buffer.concat(Array.from({ length: 100 }, () => tarEntry({ name: "x" })));
  return new Readable({
    read() {
      this.push(files);
    },
  });
}

/** The files that this process holds open although they have been removed. */
function openDiffs(): readonly string[] {
  return readdirSync("/proc/self/fd").flatMap((name) => {
    try {
      return [readlinkSync(`/proc/self/fd/${name}`)].filter((path) => path.includes("registryctl-diff-"));
    } catch {
      return [];
    }
  });
}

function threads(): number {
  return readdirSync("/proc/self/task").length;
}

describe("the analysis of layers", () => {
  let analysis: LayerAnalysis;

  beforeEach(() => {
    analysis = new LayerAnalysis();
  });

  afterEach(async () => {
    await analysis.close();
  });

  async function works(): Promise<void> {
    const layer = layerWith("works");
    expect(await gathered(analysis.files(chunked(layer)))).to.deep.equal(await gathered(fileList(chunked(layer))));
  }

  it("finds in threads what is found without, packed or not", async () => {
    const layer = layerWith("a", "content".repeat(100_000));
    const rows = await gathered(fileList(chunked(layer)));
    for (const bytes of [layer, gzipSync(layer)]) {
      expect(await gathered(analysis.files(chunked(bytes, 5000)))).to.deep.equal(rows);
      expect(await analysis.tarsum(json, chunked(bytes, 5000))).to.equal(await tarsum(json, chunked(layer)));
    }
    const diff = await gathered(analysis.diff(chunked(rows), [async () => Promise.resolve(chunked(rows))]));
    expect(JSON.parse(diff.toString())).to.have.nested.property("changed./a").with.property("[0]", "f");
  });

  it("takes layers without a byte", async () => {
    expect((await gathered(analysis.files(chunked(Buffer.alloc(0))))).toString()).to.equal("[]");
    expect(await analysis.tarsum(json, chunked(Buffer.alloc(0)))).to.match(/^tarsum\+sha256:[0-9a-f]{64}$/);
    const diff = analysis.diff(chunked(Buffer.alloc(0)), []);
    expect((await gathered(diff)).toString()).to.equal('{"deleted": {}, "changed": {}, "created": {}}');
  });

  it("leaves the chunks that it is given as they are", async () => {
    const layer = layerWith("a");
    const copy = Buffer.from(layer);
    await gathered(analysis.files(chunked(layer, 600)));
    expect(layer).to.deep.equal(copy);
  });

  it("refuses what is no layer, and goes on", async () => {
    const [before] = await Promise.all([failure(analysis.files(chunked(Buffer.alloc(5000, 1)))), works()]);
    expect(before).to.include({ code: "LAYER_UNSUPPORTED", message: "Layer format not supported", status: 400 });
    expect(await failure(analysis.tarsum(json, chunked(Buffer.from("28b52ffd00", "hex"))))).to.include({
      code: "LAYER_UNSUPPORTED",
      detail: "the zstd data is damaged or uses a feature that is not supported",
    });
    await works();
  });

  it("fails with the error of its source", async () => {
    const broken = new Error("the disk is broken");
    async function* breaking(bytes: Buffer): AsyncGenerator<Uint8Array> {
      yield* chunked(bytes);
      throw broken;
    }
    const rows = Buffer.from('[["/a", "f", false]]');
    const ancestors = [async () => Promise.reject(broken), async () => Promise.resolve(breaking(Buffer.from("[")))];
    expect(await failure(analysis.files(Readable.from(breaking(tarEntry({ name: "a" })))))).to.equal(broken);
    expect(await failure(analysis.tarsum(json, breaking(Buffer.alloc(0))))).to.equal(broken);
    expect(await failure(analysis.diff(breaking(rows), []))).to.equal(broken);
    for (const open of ancestors) expect(await failure(analysis.diff(chunked(rows), [open]))).to.equal(broken);
    await works();
  });

  it("lets a diff wait for the file lists of ancestors, each opened when it is needed", async () => {
    const layers = ["a", "b", "c", "b", "a"].map((name) => layerWith(name));
    const opened: number[] = [];
    const own = analysis.files(chunked(layerWith("c")));
    const ancestors = layers.map((layer, index) => async () => {
      opened.push(index);
      return Promise.resolve(analysis.files(chunked(layer)));
    });
    const diff = JSON.parse((await gathered(analysis.diff(own, ancestors))).toString()) as { changed: object };
    expect(Object.keys(diff.changed)).to.deep.equal(["/common", "/c"]);
    expect(opened).to.deep.equal([0, 1, 2]);
  });

  it("does many things at once, in turn", async () => {
    const few = new LayerAnalysis({ workers: 2 });
    try {
      const names = Array.from({ length: 30 }, (_, i) => `file-${i}`);
      const lists = await Promise.all(names.map(async (name) => gathered(few.files(chunked(layerWith(name))))));
      for (const [index, name] of names.entries()) expect(lists[index]?.toString()).to.contain(`"/${name}"`);
    } finally {
      await few.close();
    }
  });

  it("stops when its signal says so: at work, waiting, and before", async () => {
    const reason = new Error("the client has gone");
    const controllers = [new AbortController(), new AbortController(), new AbortController()] as const;
    const [working, waiting, gone] = controllers.map(({ signal }) => ({ signal }));
    const source = endless();
    const waitingSource = endless();
    const atWork = analysis.files(source, working)[Symbol.asyncIterator]();
    await atWork.next();
    const inTurn = failure(analysis.files(waitingSource, waiting));
    controllers[2].abort(reason);
    expect(await failure(analysis.tarsum(json, endless(), gone))).to.equal(reason);
    controllers[1].abort(reason);
    expect(await inTurn).to.equal(reason);
    expect(waitingSource.destroyed).to.equal(true);
    const next = failure(
      (async () => {
        for (;;) if ((await atWork.next()).done === true) return;
      })(),
    );
    controllers[0].abort(reason);
    expect(await next).to.equal(reason);
    expect(source.destroyed).to.equal(true);
    await works();
  });

  it("lets go of a list whose diff never has its turn", async () => {
    const controller = new AbortController();
    const hang = async (): Promise<AsyncIterable<Uint8Array>> => new Promise(() => undefined);
    const first = failure(analysis.diff(chunked(Buffer.from('[["/a", "f", false]]')), [hang]));
    const own = endless();
    const second = failure(analysis.diff(own, [], { signal: controller.signal }));
    controller.abort();
    await second;
    expect(own.destroyed).to.equal(true);
    await analysis.close();
    await first;
  });

  it("ends early when its result is not read to the end", async () => {
    const source = endless();
    for await (const chunk of analysis.files(source)) if (chunk.length > 0) break;
    expect(source.destroyed).to.equal(true);
    await works();
  });

  it("fails the job of a thread that dies, and starts another one", async () => {
    const tight = new LayerAnalysis({ heapMegabytes: 12 });
    try {
      const deep = `${"[".repeat(4_000_000)}${"]".repeat(4_000_000)}`;
      const lists = Buffer.from(`[["/a", "f", false], ["/b", "f", false, ${deep}]]`);
      const error = await failure(tight.diff(chunked(lists), []));
      expect(error).to.have.property("code", "ERR_WORKER_OUT_OF_MEMORY");
      expect((await gathered(tight.diff(chunked(Buffer.from('[["/a", "f", false]]')), []))).toString()).to.contain(
        "/a",
      );
    } finally {
      await tight.close();
    }
  });

  it("fails the job of a thread that cannot even start", async () => {
    const tight = new LayerAnalysis({ heapMegabytes: 1 });
    try {
      expect(await failure(tight.files(chunked(layerWith("a"))))).to.have.property("code", "ERR_WORKER_OUT_OF_MEMORY");
      expect(await failure(tight.tarsum(json, endless()))).to.have.property("code", "ERR_WORKER_OUT_OF_MEMORY");
    } finally {
      await tight.close();
    }
  });

  it("leaves no file open when a diff is ended in its middle", async () => {
    const controller = new AbortController();
    const hang = async (): Promise<AsyncIterable<Uint8Array>> => new Promise(() => undefined);
    const own = chunked(Buffer.from('[["/a", "f", false]]'));
    const ended = failure(analysis.diff(own, [hang], { signal: controller.signal }));
    await until("the diff to begin", () => openDiffs().length > 0);
    controller.abort();
    await ended;
    expect(openDiffs()).to.deep.equal([]);
  });

  it("ends threads that have nothing to do", async () => {
    const brief = new LayerAnalysis({ idleMilliseconds: 1 });
    const before = threads();
    const work = brief.files(chunked(layerWith("a")));
    await work.next();
    expect(threads()).to.be.above(before);
    await gathered(work);
    await until("the thread to end", () => threads() <= before);
    await brief.close();
  });

  it("fails what goes on when it is closed, and all after it", async () => {
    const atWork = analysis.files(endless());
    await atWork.next();
    const waiting = failure(analysis.files(endless()));
    const reading = failure(atWork);
    await analysis.close();
    expect(await reading).to.be.instanceOf(Error);
    for (const error of [await waiting, await failure(analysis.files(endless()))]) {
      expect(error).to.have.property("message", "The analysis of layers is closed");
    }
  });
});
