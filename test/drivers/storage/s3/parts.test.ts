import { expect } from "chai";
import { PartMemory } from "../../../../src/drivers/storage/s3/part-memory.ts";
import { partLengths } from "../../../../src/drivers/storage/s3/upload.ts";

const mebibyte = 1_048_576;
const usual = 8 * mebibyte;

describe("the parts of an upload to s3", () => {
  for (const size of [usual + 1, 78 * 1024 * mebibyte, 79 * 1024 * mebibyte, 5 * 1024 ** 2 * mebibyte]) {
    it(`of ${size} bytes are 10,000 at most, and no longer than they must be`, () => {
      const length = partLengths(usual, false, size)(0);
      expect(Math.ceil(size / length)).to.be.most(10_000);
      expect(length).to.be.least(usual);
      if (length > usual) expect(Math.ceil(size / (length - mebibyte))).to.be.above(10_000);
    });
  }

  it("grow where nobody knows how many bytes will come", () => {
    const lengths = partLengths(usual, false, undefined);
    expect([lengths(0), lengths(1_999), lengths(2_000)]).to.deep.equal([usual, usual, 2 * usual]);
    const all = Array.from({ length: 10_000 }, (_, index) => lengths(index)).reduce((sum, length) => sum + length, 0);
    expect(all).to.be.above(480 * 1024 * mebibyte);
  });

  it("are one, of the object's own length, where it is small", () => {
    expect(partLengths(usual, false, 100)(0)).to.equal(100);
    expect(partLengths(usual, false, usual)(0)).to.equal(usual);
  });

  it("are as small as servers take them where much memory is taken, and nobody is refused", () => {
    const memory = new PartMemory(4 * usual);
    const taken = [memory.take(usual), memory.take(usual), memory.take(usual)];
    expect(memory.isTight).to.be.true;
    expect(partLengths(usual, memory.isTight, undefined)(0)).to.equal(5 * mebibyte);
    expect([memory.hasRoom(usual), memory.hasRoom(usual + 1)]).to.deep.equal([true, false]);
    taken.push(memory.take(usual), memory.take(usual));
    expect(memory.hasRoom(1)).to.be.false;
    const [first] = taken;
    for (const buffer of taken.slice(0, 4)) memory.give(buffer);
    const again = memory.take(usual);
    expect(taken.slice(0, 4).some((buffer) => buffer === again)).to.be.true;
    expect(first?.length).to.equal(usual);
  });
});
