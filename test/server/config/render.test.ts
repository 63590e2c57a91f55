import { expect } from "chai";
import { renderConfig, type Draft } from "../../../src/server/config/render.ts";
import { seededRandom } from "../../support/random.ts";
import { evaluated, settingsFrom } from "./evaluated.ts";

describe("a rendered configuration", () => {
  it("holds what was chosen, explained once", () => {
    const text = renderConfig(
      {
        common: { loglevel: "_env:LOGLEVEL:info", search_backend: undefined },
        prod: { storage: "local", storage_path: "/var/lib/registry", http: { host: "0.0.0.0", port: 5000 } },
        other: { storage: "memory", loglevel: "debug" },
      },
      { head: "Mine.", flavors: { prod: "For others." } },
    );
    expect(text).to.equal(`# Mine.

common:
  # The least important messages that are logged.
  loglevel: _env:LOGLEVEL:info

# For others.
prod:
  # Where images are kept: local (also called file) is a folder, s3 a bucket of Amazon S3 or of
  # another server that speaks its protocol, gcs one of Google Cloud Storage, swift a container of
  # OpenStack Swift, glance the images of OpenStack Glance with a folder or Swift for all else,
  # elliptics an Elliptics cluster, memory forgets everything at the end.
  storage: local
  # The folder that images are kept in, or the prefix of their keys in an object store, where it is
  # /registry if nothing is said.
  storage_path: /var/lib/registry
  # Where the server listens and what it accepts.
  http:
    # The address to listen on; 0.0.0.0 for every IPv4 interface, :: for IPv6 too.
    host: 0.0.0.0
    # The port to listen on; 0 takes any that is free.
    port: 5000

other:
  storage: memory
  loglevel: debug
`);
  });

  it("includes flavors and sections that come earlier", () => {
    const text = renderConfig({
      base: { storage: "memory", http: { port: 1, host: "h" } },
      dev: { "<<": "base", http: { "<<": "http", port: 2 } },
      test: { "<<": "dev", http: "*http" },
    });
    expect(settingsFrom(text).http).to.include({ port: 2, host: "h" });
    expect(settingsFrom(text, {}, "test").http).to.include({ port: 1, host: "h" });
  });

  it("gives back flavors without options", () => {
    expect(settingsFrom(renderConfig({ common: { storage: "memory" }, dev: {} })).storage).to.equal("memory");
  });

  const texts = [
    "~",
    "null",
    "true",
    "0123",
    "1e5",
    "- a",
    "a: b",
    "a #b",
    "*alias",
    "&anchor",
    "!tag",
    "@",
    "%",
    "|",
    ">",
    "{a}",
    "[a]",
    "'",
    '"',
    "\\",
    " space ",
    "two\nlines\n",
    "\r\n",
    "tab\t",
    "\u0000",
    "\u0085\u2028",
    "ü€😀",
    "<<",
    "---",
    "?",
    "a,b",
    "2014-01-01",
    "x".repeat(300),
    "word ".repeat(50),
  ];
  for (const text of texts) {
    it(`gives back ${JSON.stringify(text.slice(0, 20))}`, () => {
      const draft: Draft = {
        storage: "memory",
        issue: text,
        cache: { host: "h", password: text },
        cors: { origins: [text, "x", text], resources: { [text]: { methods: [text] } } },
      };
      const settings = settingsFrom(renderConfig({ [text]: draft }), {}, text);
      expect(settings.issue).to.equal(text);
      expect(settings.cache?.password).to.equal(text);
      expect(settings.cors?.origins).to.deep.equal([text, "x", text]);
      expect(settings.cors?.resources).to.deep.equal({ [text]: { methods: [text] } });
    });
  }

  it("gives back random text", function () {
    const random = seededRandom(this);
    const alphabet = " :#-?*&!|>'\"%@`{}[],\\~\n\t\r0aé\u2028😀".split("");
    for (let round = 0; round < 500; round++) {
      const length = 1 + random(8);
      const text = Array.from({ length }, () => alphabet[random(alphabet.length)] ?? "").join("");
      const rendered = renderConfig({ dev: { storage: "memory", issue: text, cors: { origins: [text] } } });
      const { loaded } = evaluated(rendered);
      expect(loaded?.settings.issue, rendered).to.equal(text);
      expect(loaded?.settings.cors?.origins, rendered).to.deep.equal([text]);
    }
  });
});
