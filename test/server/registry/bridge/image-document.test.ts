import { expect } from "chai";
import { canonicalJson, parseExact } from "../../../../src/server/registry/bridge/exact-json.ts";
import { imageDocument } from "../../../../src/server/registry/bridge/image-document.ts";
import { timestamp } from "../../../../src/server/registry/bridge/timestamp.ts";

function canonical(text: string): string | undefined {
  const value = parseExact(Buffer.from(text));
  return value && canonicalJson(value).toString();
}

describe("JSON with exact numbers", () => {
  for (const number of [
    "9223372036854771712",
    "-0",
    "1.0",
    "1e3",
    "0.1000",
    "123456789012345678901234567890",
    "1E400",
  ]) {
    it(`keeps ${number}`, () => {
      expect(canonical(`{"a":[${number}]}`)).to.equal(`{"a":[${number}]}`);
    });
  }

  it("is written with sorted keys, UTF-8 and nothing between", () => {
    expect(
      canonical('{ "b" : "\\u00e9 \\ud83d\\ude00 \\/ \\u003c\\n\\u0001\\ud800", "a\\"" : [ true , null ] , "B" : {} }'),
    ).to.equal('{"B":{},"a\\"":[true,null],"b":"é 😀 / <\\n\\u0001\\ud800"}');
  });

  it("keeps odd keys as keys, and the last of equal ones", () => {
    expect(canonical('{"__proto__":{"a":1},"constructor":2}')).to.equal('{"__proto__":{"a":1},"constructor":2}');
    expect(canonical('{"a":1,"a":{"b":2}}')).to.equal('{"a":{"b":2}}');
  });

  it("is undefined for what is no object", () => {
    for (const text of ["", "1", "null", "[]", "{a:1}", "{'a':1}", '{"a":01}', '{"a":1,}', '{"a":NaN}', '{"a":1}{}']) {
      expect(canonical(text), text).to.equal(undefined);
    }
    expect(parseExact(Buffer.from('{"a":"\xff"}', "latin1"))).to.equal(undefined);
    expect(canonical(`{"a":${"[".repeat(99)}${"]".repeat(99)}}`)).to.be.a("string");
    expect(canonical(`{"a":${"[".repeat(101)}${"]".repeat(101)}}`)).to.equal(undefined);
    expect(canonical(`{"a":${"[".repeat(1_000_000)}`)).to.equal(undefined);
  });
});

describe("the time that an image was made", () => {
  for (const [given, expected] of [
    ["2014-06-01T10:00:00.123456789Z", "2014-06-01T10:00:00.123456789Z"],
    ["2013-03-23T22:24:18.818426-07:00", "2013-03-23T22:24:18.818426-07:00"],
    ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"],
    ["2016-02-29T23:59:59+05:30", "2016-02-29T23:59:59+05:30"],
    ["2014-06-01t10:00:00z", "2014-06-01T10:00:00Z"],
    ["2014-06-01T10:00:00", "2014-06-01T10:00:00Z"],
    ["2014-06-01 10:00:00 UTC", "2014-06-01T10:00:00Z"],
    ["2014-06-01 10:00:00.5 +0200 CEST", "2014-06-01T10:00:00.5+02:00"],
    ["2014-06-01T10:00:00.1234567890123Z", "2014-06-01T10:00:00.123456789Z"],
    ["2014-06-01T10:00:00,5Z", "2014-06-01T10:00:00.5Z"],
    ["2014-06-01", undefined],
    ["2014-02-29T10:00:00Z", undefined],
    ["2014-06-31T10:00:00Z", undefined],
    ["2014-13-01T10:00:00Z", undefined],
    ["2014-06-01T24:00:00Z", undefined],
    ["2014-06-01T10:00:60Z", undefined],
    ["2014-06-01T10:00:000Z", undefined],
    ["2014-06-01T10:00:00+25:00", undefined],
    ["2014-06-01T10:00:00 PST", undefined],
    ["yesterday", undefined],
    ["", undefined],
    [null, undefined],
    [true, undefined],
  ] as const) {
    it(`is ${String(expected)} for ${JSON.stringify(given)}`, () => {
      expect(timestamp(given)).to.equal(expected);
    });
  }

  for (const [number, expected] of [
    ["0", "1970-01-01T00:00:00Z"],
    ["1400000000", "2014-05-13T16:53:20Z"],
    ["253402300800", undefined],
    ["-1", undefined],
    ["1.5", undefined],
  ] as const) {
    it(`is ${String(expected)} for the number ${number}`, () => {
      expect(timestamp(parseExact(Buffer.from(`{"a":${number}}`))?.["a"])).to.equal(expected);
    });
  }
});

describe("the configuration of containers", () => {
  for (const [given, expected] of [
    ['{"Cmd":"x","cmd":"y","Entrypoint":""}', '{"Cmd":["x"],"cmd":["y"]}'],
    ['{"Memory":9223372036854775807}', '{"Memory":9223372036854775807}'],
    ['{"Memory":9223372036854775808,"MemorySwap":1e3,"CpuShares":"1"}', "{}"],
    ['{"Volumes":{"/a":null,"/b":{"x":1}},"ExposedPorts":[]}', '{"Volumes":{"/a":{},"/b":{}}}'],
    ['{"Tty":true,"OpenStdin":1,"User":["x"],"WorkingDir":"/"}', '{"Tty":true,"WorkingDir":"/"}'],
    ['{"Labels":{"a":"b"},"Env":[],"OnBuild":null}', '{"Env":[],"Labels":{"a":"b"}}'],
    ['{"constructor":1,"toString":2}', '{"constructor":1,"toString":2}'],
  ] as const) {
    it(`is ${expected} for ${given}`, () => {
      const { config } = imageDocument(parseExact(Buffer.from(`{"config":${given}}`)) ?? {});
      expect(canonicalJson(config).toString()).to.equal(expected);
    });
  }
});
