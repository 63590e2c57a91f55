import { expect } from "chai";
import { scrubbed, scrubbedLine } from "../../../src/drivers/report/scrub.ts";

const secret = "Hunter2+x";

const hidden = [
  `connect to postgresql://me:${secret}@db.example.com:5432/index failed`,
  `connect to postgresql://me:p@ss/w?rd-${secret}@db.example.com/index failed`,
  `GET https://${secret}@example.com/v1/_ping: 500`,
  `redirected to https://bucket.example.com/blob?X-Amz-Signature=${secret}&x=1`,
  `GET /v1/search?q=${secret}`,
  `headers: Authorization: Basic ${secret}`,
  `{"authorization":"Bearer ${secret}","host":"x"}`,
  `Proxy-Authorization = Digest username="me", response="${secret}"`,
  `sent Cookie: session=${secret}; other=1`,
  `X-Signature: data=${secret}`,
  `x-docker-token: signature=${secret},repository="a/b"`,
  `Token signature=${secret},repository="a/b",access=read`,
  `login with Bearer ${secret} was refused`,
  `login with basic ${secret} was refused`,
  `{"smtp_password":"${secret}"}`,
  `password: '${secret} with spaces'`,
  `s3_secret_key=${secret}`,
  `AWS_SECRET: ${secret}`,
  `the passphrase = ${secret}`,
  `api-key:${secret}`,
  `-----BEGIN RSA PRIVATE KEY-----\n${secret}\n-----END RSA PRIVATE KEY-----`,
  `-----BEGIN PRIVATE KEY-----\n${secret}`,
];

const kept = [
  "connect ECONNREFUSED 127.0.0.1:5432",
  'password authentication failed for user "registry"',
  "Basic authentication is not enough",
  "no token was found",
  "GET http://127.0.0.1:5000/v2/a/b/manifests/latest: 500",
  "GET http://127.0.0.1:5000/v2/a@sha256:0123/x: 500",
  "at Object.tokenOf (/srv/registry/src/token.ts:10:5)",
  "is this the place? yes",
  "mail to ops@example.com failed",
];

describe("scrubbed text", () => {
  for (const text of hidden) {
    it(`hides the secret of ${text.replaceAll(/\n/g, " ")}`, () => {
      const result = scrubbed(`before ${text}\nafter`, 1000);
      expect(result)
        .to.match(/^before /)
        .and.to.include("[removed]");
      expect(result).to.not.match(/Hunter2|\]\]/);
    });
  }

  for (const text of kept) {
    it(`keeps ${text}`, () => {
      expect(scrubbed(text, 1000)).to.equal(text);
    });
  }

  it("keeps what is around a secret", () => {
    expect(scrubbed(`a https://me:x@h/p?q=1 b\nAuthorization: Basic eDp5\nc password=x, d`, 1000)).to.equal(
      "a https://[removed]@h/p?[removed] b\nAuthorization: [removed]\nc password=[removed], d",
    );
  });

  it("is cut to its length, and hides a secret that the cut would halve", () => {
    expect(scrubbed("x".repeat(5000), 100)).to.equal(`${"x".repeat(99)}…`);
    expect(scrubbed(`${"x".repeat(80)} http://me:${"s".repeat(50)}@host/`, 100)).to.not.include("ss");
    expect(scrubbed("🐳".repeat(100), 50)).to.equal(`${"🐳".repeat(24)}…`);
  });

  it("is one line without control characters where a line is asked for", () => {
    expect(scrubbedLine("\n first\tline\x1b[31m\r\nBcc: everybody", 100)).to.equal("first line [31m");
    expect(scrubbedLine("", 100)).to.equal("");
  });

  it("takes no longer for texts made to slow it down", () => {
    for (const piece of [
      "/",
      "a://",
      "?",
      "token",
      "password ",
      "Basic ",
      "-----BEGIN PRIVATE KEY-----",
      "a:",
      "@",
      "'\"",
    ]) {
      scrubbed(piece.repeat(100_000), 8000);
    }
  }).timeout(5000);
});
