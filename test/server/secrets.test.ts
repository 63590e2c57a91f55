import { expect } from "chai";
import { maskedFacts, maskedText } from "../../src/server/secrets.ts";
import { seededRandom } from "../support/random.ts";

/** Each rule by itself, tried on every text. */
function maskedByAllRules(text: string): string {
  return text
    .replace(/([a-z][a-z0-9+.-]{0,20}:\/\/)[^\s/@"']*@/gi, "$1***@")
    .replace(/([?&](?:[\w-]*(?:signature|token|passw(?:or)?d|secret|credential)|sig)=)[^&\s"']+/gi, "$1***")
    .replace(/((?:authorization|x-docker-token|x-signature|cookie)["']?\s*[:=]\s*["']?)[^\r\n"']+/gi, "$1***");
}

const pieces = [
  ...Array.from("abzAZ09 /:@=?&\"'-_.+\n\t*$"),
  ...Array.from("ſKé\u0000"),
  "://",
  "http://",
  "Redis://",
  "user:pass@",
  "host",
  "?sig=",
  "&X-Amz-Signature=",
  "token=",
  "&passwd=",
  "PASSWORD=",
  "authorization",
  "Authorization: ",
  "x-docker-token=",
  "X-Signature",
  "cookie",
  "Cookie:",
  "sha256:0a1b",
  "/v2/some/image/manifests/",
];

describe("maskedText", () => {
  it("masks as if every rule were tried on every text", function () {
    const random = seededRandom(this);
    for (let n = 0; n < 50_000; n += 1) {
      const text = Array.from({ length: random(12) }, () => pieces[random(pieces.length)]).join("");
      expect(maskedText(text), JSON.stringify(text)).to.equal(maskedByAllRules(text));
    }
  });

  it("masks the same text the same way again", () => {
    for (let n = 0; n < 3; n += 1) expect(maskedText("Cookie: a; http://u:p@h")).to.equal("Cookie: ***");
  });
});

describe("maskedFacts", () => {
  it("goes by the name, however often it has seen it", () => {
    for (let n = 0; n < 3; n += 1) {
      expect(maskedFacts({ apiKey: "a", name: "b", deep: { Cookie: "c" } })).to.deep.equal({
        apiKey: "***",
        name: "b",
        deep: { Cookie: "***" },
      });
    }
    for (let n = 0; n < 2000; n += 1) {
      expect(maskedFacts({ [`token${n}`]: "a", [`n${n}`]: "b" })).to.deep.equal({
        [`token${n}`]: "***",
        [`n${n}`]: "b",
      });
    }
  });

  it("lets no name change what facts are", () => {
    const facts = maskedFacts(JSON.parse('{"__proto__": {"polluted": 1}, "a": 1}') as object);
    expect(facts).to.deep.equal({ a: 1 });
    expect(facts["polluted"]).to.equal(undefined);
  });
});
