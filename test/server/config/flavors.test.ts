import { expect } from "chai";
import { dev, evaluated, settingsFrom } from "./evaluated.ts";

describe("a flavor", () => {
  it("has common below it, whole sections replaced", () => {
    const yaml = "common: {debug: true, http: {port: 1, host: h}, storage: memory}\ndev: {http: {port: 2}}";
    const settings = settingsFrom(yaml);
    expect(settings).to.include({ storage: "memory", debug: true });
    expect(settings.http).to.include({ port: 2, host: "127.0.0.1" });
  });

  it("has common below it when it is included by << too", () => {
    const yaml =
      "common: &c {debug: true, loglevel: error}\nbase: &b {<<: *c, storage: memory}\ndev: {<<: *b, debug: false}";
    expect(settingsFrom(yaml)).to.include({ storage: "memory", debug: false, loglevel: "error" });
  });

  it("can take back what common says", () => {
    const yaml =
      "common: {search_backend: database, issue: hi}\ndev: {storage: memory, search_backend: ~, issue: _env:NOTHING}";
    expect(settingsFrom(yaml)).not.to.have.any.keys("search_backend", "issue");
  });

  it("can be any key of the file, and be empty", () => {
    expect(settingsFrom("common: {storage: memory}\nmine:", {}, "mine").storage).to.equal("memory");
  });

  it("has every default", () => {
    expect(settingsFrom("dev: {storage: file}")).to.deep.equal({
      storage: "local",
      storage_path: "/tmp/registry",
      http: {
        host: "127.0.0.1",
        port: 5000,
        trusted_proxies: [],
        max_json_size: 4194304,
        max_layer_size: 0,
        idle_timeout: 600,
        shutdown_timeout: 3600,
        header_timeout: 60,
      },
      workers: 1,
      apache_x_sendfile: false,
      allow_sparse_indexes: false,
      min_free: 100_000_000,
      shared: false,
      storage_redirect: false,
      v1_user_agents: "^(docker/(0|1\\.\\d)(\\.|\\s|$)|Go 1\\.1 package http$)",
      loglevel: "info",
      debug: false,
      standalone: true,
      index_endpoint: "https://index.docker.io",
      disable_token_auth: false,
      sqlalchemy_index_database: "sqlite:////tmp/docker-registry.db",
      bugsnag_endpoint: "https://notify.bugsnag.com",
      v1_platform: "linux/amd64",
      s3_encrypt: true,
      s3_secure: true,
      gs_secure: true,
      oauth2: false,
      storage_alternate: "local",
      swift_container: "dev_container",
      boto_debug: 0,
      elliptics_groups: [1],
      elliptics_namespace: "DOCKER",
      elliptics_wait_timeout: 60,
      elliptics_check_timeout: 60,
      elliptics_addr_family: 2,
      elliptics_node_flags: 0,
      elliptics_logfile: "/dev/stderr",
      elliptics_verbosity: 4,
      elliptics_io_thread_num: 2,
      elliptics_net_thread_num: 2,
      elliptics_nonblocking_io_thread_num: 2,
    });
  });

  it("has no section whose key value is absent", () => {
    const yaml = dev(
      "mirroring: {source: _env:A, tags_cache_ttl: 5}",
      "cache: {host: _env:A, db: 0}",
      "cache_lru: {host: ~}",
      "email_exceptions: {smtp_host: _env:A, smtp_port: 25, from_addr: f, to_addr: t}",
      "cors: {origins: _env:A, headers: [Content-Type]}",
      "http: {tls: {certificate: _env:A, key: _env:A}}",
    );
    const { loaded, warnings } = evaluated(yaml);
    expect(loaded?.settings).not.to.have.any.keys("mirroring", "cache", "cache_lru", "email_exceptions", "cors");
    expect(loaded?.settings.http).not.to.have.any.keys("tls");
    expect(warnings).to.deep.equal([]);
  });

  it("is warned of a section that nothing turns on", () => {
    const { warnings } = evaluated(dev("cache: {port: 6380}"));
    expect(warnings).to.have.length(1);
    expect(warnings[0]).to.include({ line: 4, key: "cache", problem: "is off, because it has no host" });
  });

  it("takes mail options that stand outside their section, with a warning", () => {
    const { loaded, warnings } = evaluated(
      dev(
        "smtp_host: mail",
        "from_addr: a@example.com",
        "to_addr: b@example.com",
        "email_exceptions: {to_addr: c@example.com}",
      ),
    );
    expect(loaded?.settings.email_exceptions).to.include({
      smtp_host: "mail",
      smtp_port: 25,
      from_addr: "a@example.com",
      to_addr: "c@example.com",
    });
    expect(warnings.map(({ key, line }) => [key, line])).to.deep.equal([
      ["smtp_host", 4],
      ["from_addr", 5],
      ["to_addr", 6],
    ]);
    expect(warnings[0]?.remedy).to.contain("below email_exceptions");
  });

  it("is warned when local storage has no folder of its own", () => {
    const { loaded, warnings } = evaluated("dev: {storage: local}");
    expect(loaded?.settings.storage_path).to.equal("/tmp/registry");
    expect(warnings.map(({ key }) => key)).to.deep.equal(["storage_path"]);
  });

  it("is not harmed by the names of JavaScript's prototypes", () => {
    const yaml = dev(
      "__proto__: {debug: true}",
      "constructor: {prototype: {polluted: 1}}",
      "http: {__proto__: {port: 1}}",
    );
    const { problems } = evaluated(yaml);
    expect(problems.map(({ key, problem }) => [key, problem])).to.deep.equal([
      ["__proto__", "is no option"],
      ["constructor", "is no option"],
      ["http.__proto__", "is no option"],
    ]);
    expect(({} as Record<string, unknown>)["polluted"]).to.equal(undefined);
    expect(evaluated("dev: {}", {}, "__proto__").problems[0]?.problem).to.contain("no flavor");
    expect(evaluated("__proto__: {storage: memory}", {}, "__proto__").loaded?.settings.storage).to.equal("memory");
  });
});

describe("the complaints about a flavor", () => {
  const table: [string, string, { line?: number; key?: string; problem: RegExp; remedy: RegExp }][] = [
    [
      "an unknown option",
      dev("storge: x"),
      { line: 4, key: "storge", problem: /^is no option$/, remedy: /Did you mean storage\? / },
    ],
    [
      "swapped letters",
      dev("http: {prot: 1}"),
      { line: 4, key: "http.prot", problem: /no option/, remedy: /Did you mean port\? / },
    ],
    [
      "dashes",
      dev("search-backend: x"),
      { line: 4, key: "search-backend", problem: /no option/, remedy: /mean search_backend\?/ },
    ],
    [
      "an option of another storage",
      dev("s3_bukket: x"),
      { line: 4, key: "s3_bukket", problem: /no option/, remedy: /mean s3_bucket\?/ },
    ],
    [
      "nothing alike",
      dev("zzzzzzzz: x"),
      { line: 4, key: "zzzzzzzz", problem: /no option/, remedy: /^Correct or remove it\.$/ },
    ],
    [
      "no storage",
      "dev: {debug: true}",
      {
        line: 1,
        key: "storage",
        problem: /^is missing$/,
        remedy: /^Add storage: local, memory, s3, gcs, swift, glance, elliptics or file\.$/,
      },
    ],
    [
      "an unknown storage",
      "dev: {storage: locl}",
      { line: 1, key: "storage", problem: /^"locl" is not local, /, remedy: /Did you mean local\? / },
    ],
    [
      "a text for a number",
      dev("workers: many"),
      { line: 4, key: "workers", problem: /"many" is not a number of processes/, remedy: /^Write a number/ },
    ],
    [
      "a number that is too large",
      dev("http: {port: 70000}"),
      { line: 4, key: "http.port", problem: /^70000 is not a whole number from 0 to 65535$/, remedy: /Write/ },
    ],
    [
      "a broken number",
      dev("http: {port: 1.5}"),
      { line: 4, key: "http.port", problem: /^1\.5 is not a whole/, remedy: /Write/ },
    ],
    [
      "a text for a truth",
      dev("debug: maybe"),
      { line: 4, key: "debug", problem: /^"maybe" is not true or false$/, remedy: /Write true or false/ },
    ],
    [
      "a map for a text",
      dev("issue: {a: 1}"),
      { line: 4, key: "issue", problem: /^a map is not a text$/, remedy: /Write a text/ },
    ],
    [
      "a list for a text",
      dev("issue: [a]"),
      { line: 4, key: "issue", problem: /^a list is not a text$/, remedy: /Write a text/ },
    ],
    [
      "a text for a section",
      dev("http: yes"),
      { line: 4, key: "http", problem: /^"yes" is not a map of host, port/, remedy: /Write a map/ },
    ],
    [
      "a list for a section",
      dev("cache: [a]"),
      { line: 4, key: "cache", problem: /^a list is not a map/, remedy: /Write a map/ },
    ],
    [
      "an unknown level",
      dev("loglevel: debgu"),
      { line: 4, key: "loglevel", problem: /"debgu"/, remedy: /Did you mean debug\?/ },
    ],
    [
      "no URL",
      dev("index_endpoint: index"),
      { line: 4, key: "index_endpoint", problem: /"index" is not a URL such as/, remedy: /Write a URL/ },
    ],
    [
      "a URL of another kind",
      dev("public_url: ftp://x"),
      { line: 4, key: "public_url", problem: /not a URL such as https/, remedy: /Write/ },
    ],
    [
      "a database that isn't known",
      dev("sqlalchemy_index_database: mysql://h/d"),
      { line: 4, key: "sqlalchemy_index_database", problem: /^the value is not a URL such as sqlite/, remedy: /Write/ },
    ],
    [
      "no network",
      dev("http:", "  trusted_proxies:", "  - 10.0.0.0/8", "  - 10.0.0.0/33"),
      { line: 7, key: "http.trusted_proxies", problem: /^"10.0.0.0\/33" is not an IP address/, remedy: /Write/ },
    ],
    [
      "no size",
      dev("http: {max_layer_size: 10X}"),
      { line: 4, key: "http.max_layer_size", problem: /"10X" is not a size/, remedy: /10G/ },
    ],
    [
      "a redirect prefix that is no path",
      dev("nginx_x_accel_redirect: blobs"),
      { line: 4, key: "nginx_x_accel_redirect", problem: /not a path such as/, remedy: /Write/ },
    ],
    [
      "half of TLS",
      dev("http: {tls: {key: /k}}"),
      { line: 4, key: "http.tls.certificate", problem: /is missing/, remedy: /Add certificate: a path/ },
    ],
    [
      "half of the mail options",
      dev("email_exceptions: {smtp_host: h, from_addr: f}"),
      { line: 4, key: "email_exceptions.to_addr", problem: /is missing/, remedy: /Add to_addr/ },
    ],
    [
      "a storage that is not there, before what else is wrong",
      "dev: {storage: oss, oss_host: REPLACEME, s3_secure: REPLACEME}",
      { line: 1, key: "storage", problem: /^the storage oss is not supported$/, remedy: /storage: local/ },
    ],
    [
      "a storage from the environment",
      "dev: {storage: '_env:S:oss'}",
      { line: 1, key: "storage", problem: /the storage oss is not supported/, remedy: /local/ },
    ],
    [
      "a storage that never comes",
      "dev: {storage: azureblob, azure_use_https: x}",
      { line: 1, key: "storage", problem: /^the storage azureblob is not supported$/, remedy: /local/ },
    ],
    [
      "CloudFront",
      dev("cloudfront: {base: x}"),
      { line: 4, key: "cloudfront", problem: /CloudFront are not supported/, remedy: /Remove/ },
    ],
    [
      "memory for several processes",
      "dev: {storage: memory, workers: 2}",
      { line: 1, key: "workers", problem: /can't be shared/, remedy: /workers: 1/ },
    ],
    [
      "metrics where the registry is",
      "dev: {storage: memory, metrics: {port: 5000}}",
      { line: 1, key: "metrics.port", problem: /^is the registry's own$/, remedy: /Choose another/ },
    ],
    [
      "S3 without a bucket",
      "dev: {storage: s3, s3_region: r}",
      { key: "s3_bucket", problem: /^is missing$/, remedy: /Name the bucket/ },
    ],
    [
      "half of the keys",
      "dev: {storage: s3, s3_bucket: b, s3_access_key: k}",
      { key: "s3_secret_key", problem: /is missing beside s3_access_key/, remedy: /s3_secret_key too, or neither/ },
    ],
    [
      "a calling format that nobody knows",
      "dev: {storage: s3, s3_bucket: b, boto_calling_format: Other}",
      { line: 1, key: "boto_calling_format", problem: /OrdinaryCallingFormat/, remedy: /./ },
    ],
    [
      "an empty folder",
      "dev: {storage: local, storage_path: ''}",
      { line: 1, key: "storage_path", problem: /is empty/, remedy: /Name a folder/ },
    ],
    ["a flavor that is no map", "dev: text", { line: 1, problem: /^dev is no map of options$/, remedy: /below it/ }],
    ["a common that is no map", "common: [a]\ndev: {}", { line: 1, problem: /^common is no map/, remedy: /below it/ }],
    [
      "an unknown flavor",
      "devel: {storage: memory}\nprod: {}",
      { problem: /^there is no flavor "dev", the one where none is chosen$/, remedy: /Choose devel, prod with/ },
    ],
  ];
  for (const [what, yaml, { problem, remedy, ...where }] of table) {
    it(`say where ${what} is, what is wrong and what to do`, () => {
      const { problems, loaded } = evaluated(yaml);
      expect(loaded).to.equal(undefined);
      expect(problems).to.have.length(1);
      expect(problems[0]).to.include({ file: "config.yml", ...where });
      expect(problems[0]?.problem).to.match(problem);
      expect(problems[0]?.remedy).to.match(remedy);
    });
  }

  it("come all at once, in the order of the lines", () => {
    const { problems } = evaluated(
      dev("loglevel: loud", "nonsense: 1", "http:", "  port: x", "cache: {host: h, db: -1}"),
    );
    expect(problems.map(({ line, key }) => `${line} ${key}`)).to.deep.equal([
      "4 loglevel",
      "5 nonsense",
      "7 http.port",
      "8 cache.db",
    ]);
  });

  it("point to where an included value is written", () => {
    const { problems } = evaluated("base: &b\n  debug: maybe\ndev:\n  <<: *b\n  storage: memory\n");
    expect(problems.map(({ line }) => line)).to.deep.equal([2]);
  });

  it("name flavors that are not supported", () => {
    for (const name of ["cloudfronts3", "azureblob", "oss"]) {
      expect(evaluated("dev: {}", {}, name).problems[0]?.problem).to.equal(`the flavor ${name} is not supported`);
    }
  });

  it("never repeat a secret or an URL with a password", () => {
    const yaml = dev(
      "secret_key: {value: hunter2}",
      "bugsnag: [hunter2]",
      "cache: {host: h, password: {p: hunter2}}",
      "sqlalchemy_index_database: postgresq://user:hunter2@host/db",
      "mirroring: {source: 'htp://user:hunter2@host'}",
      "workers: _env:LEAK",
    );
    const { problems, warnings } = evaluated(yaml, { LEAK: "user:hunter2@host" });
    expect(problems).to.have.length(6);
    expect(JSON.stringify([problems, warnings])).not.to.contain("hunter2");
  });

  it("shorten long values", () => {
    const { problems } = evaluated(dev(`loglevel: ${"x".repeat(10_000)}`));
    expect(JSON.stringify(problems).length).to.be.below(600);
  });
});
