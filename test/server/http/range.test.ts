import { expect } from "chai";
import { parseRange } from "../../../src/server/http/range.ts";

describe("parseRange", () => {
  const size = 10_240;
  const cases: readonly (readonly [string | undefined, number, ReturnType<typeof parseRange>])[] = [
    [undefined, size, undefined],
    ["", size, undefined],
    ["bytes=0-", size, { start: 0, end: size }],
    ["bytes=0-0", size, { start: 0, end: 1 }],
    ["bytes=1-1", size, { start: 1, end: 2 }],
    ["bytes=0-10239", size, { start: 0, end: size }],
    ["bytes=0-10240", size, { start: 0, end: size }],
    ["bytes=4-10240", size, { start: 4, end: size }],
    ["bytes=0-99999999999999999999999", size, { start: 0, end: size }],
    ["bytes=10239-", size, { start: 10_239, end: size }],
    ["bytes=10240-", size, "unsatisfiable"],
    ["bytes=10240-10240", size, "unsatisfiable"],
    ["bytes=99999999999999999999999-", size, "unsatisfiable"],
    ["bytes=-5", size, { start: 10_235, end: size }],
    ["bytes=-10240", size, { start: 0, end: size }],
    ["bytes=-99999", size, { start: 0, end: size }],
    ["bytes=-0", size, "unsatisfiable"],
    ["bytes=0-", 0, "unsatisfiable"],
    ["bytes=0-5", 0, "unsatisfiable"],
    ["bytes=-5", 0, "unsatisfiable"],
    ["Bytes=0-5", size, { start: 0, end: 6 }],
    ["bytes=10-5", size, undefined],
    ["bytes=0-1,3-4", size, undefined],
    ["bytes=", size, undefined],
    ["bytes=-", size, undefined],
    ["bytes=a-b", size, undefined],
    ["bytes=1", size, undefined],
    ["bytes = 0-5", size, undefined],
    ["bytes=0x1-0x2", size, undefined],
    ["bytes=1e1-", size, undefined],
    ["bytes=--5", size, undefined],
    ["items=0-5", size, undefined],
    ["abc", size, undefined],
  ];
  for (const [header, of, expected] of cases) {
    it(`${header ?? "no header"} of ${of} bytes is ${expected ? JSON.stringify(expected) : "the whole"}`, () => {
      expect(parseRange(header, of)).to.deep.equal(expected);
    });
  }
});
