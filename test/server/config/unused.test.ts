import { expect } from "chai";
import { dev, evaluated } from "./evaluated.ts";

describe("an option that changes nothing", () => {
  const memory = (line: string): string => `dev:\n  storage: memory\n\n  ${line}`;
  const cases: [string, string, string, string][] = [
    ["secret_key", dev("secret_key: sesame"), "secret_key", "up to 0.6"],
    ["secret_key as the first sample had it", dev("secret_key: REPLACEME"), "secret_key", "up to 0.6"],
    ["cache beside cache_lru", dev("cache: {host: a}", "cache_lru: {host: b}"), "cache.host", "beside cache_lru"],
    ["storage_redirect", dev("storage_redirect: true"), "storage_redirect", "storage local"],
    ["X-Accel-Redirect without files", memory("nginx_x_accel_redirect: /i"), "nginx_x_accel_redirect", "memory"],
    ["X-Sendfile without files", memory("apache_x_sendfile: true"), "apache_x_sendfile", "memory"],
    [
      "X-Sendfile beside X-Accel-Redirect",
      dev("apache_x_sendfile: true", "nginx_x_accel_redirect: /i"),
      "apache_x_sendfile",
      "beside nginx_x_accel_redirect",
    ],
    ["an older signature", "dev:\n  storage: s3\n  s3_bucket: b\n  s3_use_sigv4: false", "s3_use_sigv4", "version 4"],
    ["options of another storage", dev("boto_bucket: b", "s3_region: r"), "boto_bucket", "nor s3_region"],
  ];
  for (const [name, yaml, key, says] of cases) {
    it(`is a warning: ${name}`, () => {
      const { loaded, warnings } = evaluated(yaml);
      expect(loaded).not.to.equal(undefined);
      expect(warnings).to.have.length(1);
      expect(warnings[0]).to.include({ key, line: 4 });
      expect(warnings[0]?.problem).to.contain(says);
    });
  }

  it("is no warning where its variable is not set", () => {
    const yaml = dev("secret_key: _env:A", "boto_bucket: _env:A", "s3_region: '_env:A:'", "cache: {host: _env:A}");
    expect(evaluated(yaml).warnings).to.deep.equal([]);
    expect(evaluated(yaml, { A: "a" }).warnings).to.have.length(2);
  });

  it("is no warning where another flavor may use it", () => {
    const yaml = `common: {boto_bucket: b}\ns3: &s3\n  s3_region: r\n${dev("<<: *s3")}`;
    expect(evaluated(yaml).warnings).to.deep.equal([]);
  });

  it("is no warning where the storage has it", () => {
    const yaml = "dev: {storage: s3, s3_bucket: b, boto_host: h, storage_redirect: true}";
    expect(evaluated(yaml)).to.deep.include({ problems: [], warnings: [] });
    expect(evaluated(yaml.replace("boto_host: h", "shared: true")).warnings.map(({ key }) => key)).to.deep.equal(["shared"]); // prettier-ignore
  });

  it("does not hide that the storage is missing", () => {
    const { problems, warnings } = evaluated("dev: {storage: oss, oss_host: r, storage_redirect: true}");
    expect(problems.map(({ key }) => key)).to.deep.equal(["storage"]);
    expect(warnings).to.deep.equal([]);
  });
});
