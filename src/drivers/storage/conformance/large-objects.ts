import type { Readable } from "node:stream";
import { expect } from "chai";
import { seededRandom } from "./random.ts";
import type { Conformance, Subject } from "../conformance.ts";
import { bufferBytes, bytesOf, hashOf, outcome, put, randomBytes, repeated, source, textOf } from "./probing.ts";

const mebibyte = 1_048_576;

/** Ranges, sizes beyond any buffer, and readers that take their time. */
export function describeLargeObjects(subject: Subject, { inMemory = false }: Conformance): void {
  describe("a range", () => {
    it("is half-open, and ends with the object", async () => {
      const key = `${subject.area()}/digits`;
      await put(subject.driver, key, "0123456789");
      for (const [start, end, text] of [
        [0, 1, "0"],
        [0, 10, "0123456789"],
        [3, 7, "3456"],
        [9, 10, "9"],
        [9, 11, "9"],
        [2, Number.MAX_SAFE_INTEGER, "23456789"],
      ] as const) {
        expect(await textOf(subject.driver, key, { start, end }), `${start}-${end}`).to.equal(text);
      }
      expect(await textOf(subject.driver, key, { start: 0 })).to.equal("0123456789");
      expect(await textOf(subject.driver, key, { start: 8 })).to.equal("89");
    });

    it("that asks for no byte of the object is refused before there is a stream", async () => {
      const area = subject.area();
      await put(subject.driver, `${area}/digits`, "0123456789");
      await put(subject.driver, `${area}/empty`, "");
      for (const range of [
        { start: 10 },
        { start: 10, end: 20 },
        { start: 11 },
        { start: 5, end: 5 },
        { start: 5, end: 4 },
        { start: -1 },
        { start: 0.5 },
        { start: Number.NaN },
      ]) {
        expect(await outcome(subject.driver.read(`${area}/digits`, range)), JSON.stringify(range)).to.equal(
          "INVALID_RANGE",
        );
      }
      expect(await outcome(subject.driver.read(`${area}/empty`, { start: 0 }))).to.equal("INVALID_RANGE");
      expect(await textOf(subject.driver, `${area}/empty`)).to.equal("");
    });

    it("may lie anywhere in an object of several mebibytes", async function () {
      const random = seededRandom(this);
      const key = `${subject.area()}/object`;
      const bytes = randomBytes(random, 5 * mebibyte + 17);
      await subject.driver.write(key, source(bytes.subarray(0, mebibyte - 1), bytes.subarray(mebibyte - 1)));
      for (let round = 0; round < 20; round++) {
        const start = random(bytes.length);
        const end = start + 1 + random(bytes.length - start);
        const range = await bytesOf(subject.driver, key, { start, end });
        expect(range.equals(bytes.subarray(start, end)), `${start}-${end}`).to.be.true;
      }
    });
  });

  describe("a large object", () => {
    const block = Buffer.alloc(65_536, "large object ");
    const size = 64 * mebibyte + 1;

    it("passes through in both directions without being held", async () => {
      const { driver } = subject;
      const key = `${subject.area()}/large`;
      const start = bufferBytes();
      let most = 0;
      const watched = async function* (chunks: AsyncIterable<Uint8Array>) {
        let next = 0;
        let passed = 0;
        for await (const chunk of chunks) {
          passed += chunk.length;
          if (passed >= next) {
            most = Math.max(most, bufferBytes() - start);
            next += 8 * mebibyte;
          }
          yield chunk;
        }
      };
      const written = await driver.write(key, watched(repeated(block, size)));
      expect(written.size).to.equal(size);
      const read = await hashOf(watched(await driver.read(key)));
      expect(read).to.equal(await hashOf(repeated(block, size)));
      if (!inMemory) expect(most).to.be.below(24 * mebibyte);
      await driver.delete(key);
    });

    it("can be read by many who take one piece and then wait, and holds little for each", async () => {
      const { driver } = subject;
      const key = `${subject.area()}/large`;
      await driver.write(key, repeated(block, 8 * mebibyte));
      const start = bufferBytes();
      const readers: { readonly stream: Readable; readonly rest: AsyncIterator<unknown> }[] = [];
      for (let count = 0; count < 16; count++) {
        const stream = await driver.read(key);
        const rest = (stream as AsyncIterable<unknown>)[Symbol.asyncIterator]();
        await rest.next();
        readers.push({ stream, rest });
      }
      if (!inMemory) expect(bufferBytes() - start).to.be.below(16 * mebibyte);
      for (const { stream } of readers.slice(1)) stream.destroy();
      let left = 0;
      const [{ rest } = { rest: undefined }] = readers;
      for (let next = await rest?.next(); next?.done === false; next = await rest?.next()) {
        left += (next.value as Uint8Array).length;
      }
      expect(left).to.be.greaterThan(6 * mebibyte);
      await driver.delete(key);
    });

    it("that is replaced or deleted while it is read is read to its end as it was", async () => {
      const { driver } = subject;
      const key = `${subject.area()}/large`;
      const old = Buffer.alloc(4 * mebibyte, "old");
      await driver.write(key, source(old));
      const readers = [await driver.read(key), await driver.read(key, { start: mebibyte })];
      await driver.write(key, source("new"));
      const last = await driver.read(key);
      await driver.delete(key);
      expect(await hashOf(readers[0] as Readable)).to.equal(await hashOf(source(old)));
      expect(await hashOf(readers[1] as Readable)).to.equal(await hashOf(source(old.subarray(mebibyte))));
      expect(await hashOf(last)).to.equal(await hashOf(source("new")));
      expect(await outcome(driver.read(key))).to.equal("NOT_FOUND");
    });

    it("need not be read to its end", async () => {
      const { driver } = subject;
      const key = `${subject.area()}/large`;
      await driver.write(key, repeated(block, 4 * mebibyte));
      for (let round = 0; round < 50; round++) {
        const stream = await driver.read(key);
        if (round % 2 === 0) for await (const chunk of stream) if ((chunk as Uint8Array).length > 0) break;
        stream.destroy();
      }
      expect((await driver.stat(key)).size).to.equal(4 * mebibyte);
    });
  });
}
