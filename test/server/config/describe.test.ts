import { expect } from "chai";
import { describe as describeValues, originText } from "../../../src/server/config/describe.ts";
import { evaluated } from "./evaluated.ts";

describe("the effective values", () => {
  const yaml = `common: &common
  loglevel: _env:LOGLEVEL:info
  http: &http
    port: 5001
base: &base
  <<: *common
  issue: hello
dev:
  <<: *base
  storage: memory
  debug: _env:DEBUG:true
  http:
    <<: *http
    host: _env:REGISTRY_HOST:127.0.0.1
  sqlalchemy_index_database: postgresql://user:hunter2@db/index
  cache: {host: redis, password: hunter2}
  mirroring: {source: "https://me:hunter2@example.com"}
  bugsnag: hunter2
  secret_key: sqlite://hunter2?hunter2
`;

  function values(env = {}): Map<string, { value: unknown; origin: string }> {
    const { loaded, problems } = evaluated(yaml, env);
    if (!loaded) throw new Error(JSON.stringify(problems));
    return new Map(
      describeValues(loaded).map(({ key, value, origin }) => [key, { value, origin: originText(origin) }]),
    );
  }

  const origins: [string, unknown, string][] = [
    ["loglevel", "info", "common, line 2 (LOGLEVEL is not set)"],
    ["http.port", 5001, "common, line 4"],
    ["issue", "hello", "included base, line 7"],
    ["storage", "memory", "flavor dev, line 10"],
    ["debug", false, "environment DEBUG"],
    ["http.host", "127.0.0.1", "flavor dev, line 14 (REGISTRY_HOST is not set)"],
    ["workers", 1, "default"],
    ["http.header_timeout", 30, "environment REGISTRY_HEADER_TIMEOUT"],
    ["cache.port", 6379, "default"],
  ];
  for (const [key, value, origin] of origins) {
    it(`tell that ${key} is from ${origin}`, () => {
      expect(values({ DEBUG: "no", REGISTRY_HEADER_TIMEOUT: "30" }).get(key)).to.deep.equal({ value, origin });
    });
  }

  it("hold no secret", () => {
    expect(JSON.stringify([...values()])).not.to.contain("hunter2");
    expect(values().get("sqlalchemy_index_database")?.value).to.equal("postgresql://user:******@db/index");
    expect(values().get("mirroring.source")?.value).to.equal("https://me:******@example.com");
    expect(values().get("cache.password")?.value).to.equal("******");
  });

  it("leave out what is absent", () => {
    expect(values()).not.to.have.any.keys("search_backend", "cors.origins", "http.tls.key");
  });
});
