import { execFileSync } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import { schemeOf, weaknessOf } from "../../../src/server/accounts/hash-scheme.ts";
import { hashed, isRight } from "../../../src/server/accounts/password-hash.ts";
import { parseUsers } from "../../../src/server/accounts/user-file.ts";
import { needs } from "../../support/needs.ts";
import { removeFolder, temporaryFolder } from "../../support/program.ts";

const failsAtCost = 4;
const passwords = ["open sesame", "pässwörd €", "x".repeat(72), "a:b#c $1$"];

describe("hashes of passwords", function () {
  this.timeout(180_000);

  // Made by the C library's crypt(3).
  for (const [scheme, hash] of [
    ["md5", "$1$abcdefgh$MkMLP.I5SjnxKXOEtC4oR1"],
    ["sha256", "$5$saltsalt$wLm6F4sYYG3L3nV0TsVBZj4K2ESHNARDAH27mjYpW67"],
    [
      "sha512",
      "$6$rounds=1000$saltsalt$Su93S5o9qDpOsBxZ6nIKSps/V4MA55iN58cy3aKPshjXuSLIrgxyhbbbhmvVg2lCBnM42436k7YxMjSrVrZ2Z.",
    ],
    ["des", "abLZt3uEKpz7w"],
  ] as const) {
    it(`are checked as crypt(3) makes them: ${scheme}`, () => {
      expect(schemeOf(hash)).to.equal(scheme);
      expect(isRight({ password: "secretpw", hash, failsAtCost })).to.equal(true);
      expect(isRight({ password: "secretpW", hash, failsAtCost })).to.equal(false);
    });
  }

  it("of what is no hash are none", () => {
    for (const text of ["", "secret", "$2y$99$x", "$apr1$short", "{SHA}", "$7$x$y", "$2y$03$" + "a".repeat(53)]) {
      expect(schemeOf(text), text).to.equal(undefined);
      expect(isRight({ password: text, hash: text, failsAtCost }), text).to.equal(false);
    }
  });

  it("of locked accounts fit no password", () => {
    for (const hash of ["!", "*", "!$2y$05$x"]) {
      expect(schemeOf(hash)).to.equal("locked");
      expect(isRight({ password: hash, hash, failsAtCost })).to.equal(false);
    }
  });

  it("that do not exist fit no password", () => {
    expect(isRight({ password: "", hash: undefined, failsAtCost })).to.equal(false);
  });

  it("made here are of the cost asked for", async () => {
    expect(await hashed("open sesame", 5)).to.match(/^\$2y\$05\$.{53}$/);
  });

  describe("beside Apache's htpasswd", () => {
    let cwd: string;
    before(async function () {
      needs(this, "htpasswd");
      cwd = await temporaryFolder();
    });
    after(async () => {
      await removeFolder(cwd);
    });
    const htpasswd = (args: readonly string[], input: string): string =>
      execFileSync("htpasswd", args, { cwd, input, encoding: "utf8", stdio: ["pipe", "pipe", "pipe"] });

    for (const [flags, scheme, isWeak] of [
      [["-B", "-C", "10"], "bcrypt", false],
      [["-B"], "bcrypt", true],
      [["-m"], "apr1", true],
      [["-s"], "sha1", true],
      [["-d"], "des", true],
      [["-2"], "sha256", false],
      [["-5"], "sha512", false],
    ] as const) {
      it(`lets in whom ${["htpasswd", ...flags].join(" ")} does`, () => {
        for (const password of passwords.slice(0, scheme === "des" ? 1 : undefined)) {
          const text = htpasswd(["-ni", ...flags, "ann"], password);
          const hash = parseUsers(text).users.get("ann")?.hash ?? "";
          expect(schemeOf(hash), text).to.equal(scheme);
          expect(weaknessOf(hash) !== undefined, text).to.equal(isWeak);
          expect(isRight({ password, hash, failsAtCost }), password).to.equal(true);
          expect(isRight({ password: `X${password}`, hash, failsAtCost }), password).to.equal(false);
        }
      });
    }

    it("makes hashes that htpasswd takes, and refuses what it refuses", async () => {
      for (const password of passwords) {
        await writeFile(join(cwd, "users"), `ann:${await hashed(password, 4)}\n`);
        expect(() => htpasswd(["-vi", "users", "ann"], password), password).not.to.throw();
        expect(() => htpasswd(["-vi", "users", "ann"], `X${password}`), password).to.throw();
      }
    });

    it("looks at the first 72 bytes of a password for bcrypt, as htpasswd does", async () => {
      const password = "é".repeat(36);
      const hash = await hashed(password, 4);
      await writeFile(join(cwd, "users"), `ann:${hash}\n`);
      for (const longer of [password, `${password}x`, `${password}${"y".repeat(100)}`]) {
        expect(() => htpasswd(["-vi", "users", "ann"], longer), longer).not.to.throw();
        expect(isRight({ password: longer, hash, failsAtCost }), longer).to.equal(true);
      }
      expect(isRight({ password: "é".repeat(35), hash, failsAtCost })).to.equal(false);
    });
  });
});
