import { expect } from "chai";
import { parseConfig } from "../../../src/server/config/config-file.ts";
import { describe as describeValues } from "../../../src/server/config/describe.ts";
import { evaluate } from "../../../src/server/config/flavors.ts";
import { ConfigError, renderProblem } from "../../../src/server/config/problem.ts";
import { settingsSchema } from "../../../src/server/config/schema.ts";
import { fieldsOf } from "../../../src/server/config/schema-walk.ts";
import { seededRandom, type Random } from "../../support/random.ts";

const options = Object.keys(settingsSchema.shape);
const inner = Object.values(settingsSchema.shape).flatMap((field) => Object.keys(fieldsOf(field) ?? {}));
const names = [
  ...options,
  ...inner,
  "<<",
  "__proto__",
  "constructor",
  "toString",
  "hasOwnProperty",
  "cloudfront",
  "s3_secure",
  "x",
];
const words = [
  ...[
    "~",
    "",
    "true",
    "5000",
    "-1",
    "1e999",
    "99999999999999999999",
    "local",
    "memory",
    "s3",
    "auto",
    "10G",
    "*",
    "*a",
    "&a x",
  ],
  ...[
    "[1, 2]",
    "[",
    "{a: 1}",
    "{",
    "}",
    "'",
    '"',
    "_env:",
    "_env:A",
    "_env:A:[x, _env:A]",
    "_env:B:{keyfile: ~}",
    "_env::",
    "_env:__proto__",
  ],
  ...[
    "http://[::1]:5000",
    "http://",
    "sqlite:///",
    "10.0.0.0/8",
    "::/0",
    "!!binary x",
    "|",
    "#",
    "REPLACEME",
    "\u0000",
    "\uFFFF",
    "🙂",
  ],
];

describe("any configuration at all", () => {
  it("is settings or complaints, whatever the tree", function () {
    const random = seededRandom(this);
    let served = 0;
    for (let round = 0; round < 3000; round++) {
      const yaml = `common: ${tree(random, 3)}\ndev: {storage: memory, ${entries(random, 2)}}\nother: ${tree(random, 4)}\n`;
      served += tried(yaml, environment(random));
    }
    expect(served).to.be.above(0);
  });

  it("is settings or complaints, whatever the text", function () {
    const random = seededRandom(this);
    const whole = `common: &c\n  storage: memory\n  http: &h {port: 1}\n  cors:\n    origins: ["*"]\ndev:\n  <<: *c\n  http:\n    <<: *h\n    host: _env:A:x\n`;
    let served = 0;
    for (let round = 0; round < 3000; round++) {
      let text = whole;
      for (let change = random(4); change >= 0; change--) {
        const at = random(text.length);
        text =
          text.slice(0, at) +
          pick(random, [...words, "\n", " ", "  ", ":", "-", "&c ", "*h", ""]) +
          text.slice(at + random(4));
      }
      served += tried(text, environment(random));
    }
    expect(served).to.be.above(0);
  });

  it("is answered when it is large", () => {
    const list = `dev: {storage: memory, http: {trusted_proxies: [${"a, ".repeat(60_000)}]}}`;
    const keys = `dev:\n${Array.from({ length: 20_000 }, (_, index) => ` k${index}: 1\n`).join("")}`;
    const deep = `dev: {cors: {resources: {${Array.from({ length: 10_000 }, (_, index) => `k${index}: {x: 1}`).join(", ")}}, origins: x}}`;
    for (const yaml of [list, keys, deep]) tried(yaml, { A: "a,".repeat(60_000) });
  });
});

/** 1 when the flavor can be served, 0 when there are complaints; anything else fails. */
function tried(yaml: string, env: Record<string, string>): number {
  try {
    const file = parseConfig("fuzz.yml", yaml);
    const { loaded, problems, warnings } = evaluate(file, "dev", env);
    expect(loaded === undefined, yaml).to.equal(problems.length > 0);
    expect([...problems, ...warnings, ...file.problems].map(renderProblem).join("\n"), yaml).not.to.match(
      /undefined|\[object/,
    );
    if (loaded) expect(JSON.stringify(describeValues(loaded))).to.be.a("string");
    expect(Object.keys(Object.prototype)).to.deep.equal([]);
    return loaded ? 1 : 0;
  } catch (error) {
    if (error instanceof ConfigError) return 0;
    throw new Error(`failed on ${JSON.stringify(yaml)} with ${JSON.stringify(env)}`, { cause: error });
  }
}

function tree(random: Random, depth: number): string {
  const kind = random(depth > 0 ? 4 : 1);
  if (kind === 0) return scalar(random);
  if (kind === 1) return `[${Array.from({ length: random(4) }, () => tree(random, depth - 1)).join(", ")}]`;
  return `{${entries(random, depth)}}`;
}

function entries(random: Random, depth: number): string {
  const keys = new Set(Array.from({ length: random(4) }, () => pick(random, names)));
  return [...keys].map((key) => `${key}: ${tree(random, depth - 1)}`).join(", ");
}

function scalar(random: Random): string {
  const word = pick(random, words);
  return random(3) === 0 ? word : JSON.stringify(word);
}

function environment(random: Random): Record<string, string> {
  const variables = ["A", "B", "HOME", "REGISTRY_PORT", "REGISTRY_TRUSTED_PROXIES", "GUNICORN_WORKERS"];
  return Object.fromEntries(variables.filter(() => random(3) === 0).map((name) => [name, pick(random, words)]));
}

function pick(random: Random, from: readonly string[]): string {
  return from[random(from.length)] ?? "";
}
