import { expect } from "chai";
import { dev, evaluated, settingsFrom } from "./evaluated.ts";

describe("_env: in a configuration", () => {
  const texts: [string, string, Record<string, string>, string | undefined][] = [
    ["is the variable's value", "_env:ISSUE", { ISSUE: "hello" }, "hello"],
    ["is absent when the variable isn't set", "_env:ISSUE", {}, undefined],
    ["is the default when the variable isn't set", "_env:ISSUE:hello", {}, "hello"],
    ["keeps the colons of a default", "_env:ISSUE:a:b::c", {}, "a:b::c"],
    ["is absent when the default is empty", '"_env:ISSUE:"', {}, undefined],
    ["is absent when the variable is empty, default or not", "_env:ISSUE:hello", { ISSUE: "" }, undefined],
    ["works in quotes", "'_env:ISSUE:hello'", { ISSUE: "x" }, "x"],
    ["is not looked for in what a variable holds", "_env:ISSUE", { ISSUE: "_env:HOME:x", HOME: "y" }, "_env:HOME:x"],
    ["is not looked for in a default", "_env:ISSUE:_env:HOME:x", { HOME: "y" }, "_env:HOME:x"],
    ["takes what YAML would read otherwise as text", "_env:ISSUE", { ISSUE: "~" }, "~"],
    ["knows nothing that objects inherit", "_env:constructor:none", {}, "none"],
    ["needs to stand at the start", '"x _env:ISSUE"', { ISSUE: "y" }, "x _env:ISSUE"],
  ];
  for (const [sentence, written, env, value] of texts) {
    it(sentence, () => {
      expect(settingsFrom(dev(`issue: ${written}`), env).issue).to.equal(value);
    });
  }

  it("is absent when the variable is empty, whatever form the option has", () => {
    const options = ["s3_region", "s3_use_sigv4", "boto_host", "boto_port", "boto_calling_format"] as const;
    const lines = options.map((name) => `  ${name}: _env:NOTHING`);
    const settings = settingsFrom(["dev:", "  storage: s3", "  s3_bucket: b", ...lines].join("\n"), { NOTHING: "" });
    for (const name of options) expect(settings[name], name).to.equal(undefined);
  });

  it("works inside lists and maps, where what is absent is left out", () => {
    const { cors, http, email_exceptions } = settingsFrom(
      dev(
        "http: {port: _env:PORT, trusted_proxies: [127.0.0.1, _env:PROXY, _env:NO_PROXY]}",
        "cors: {origins: [_env:ORIGIN]}",
        "email_exceptions: {smtp_host: h, from_addr: f, to_addr: t, smtp_secure: {keyfile: _env:KEY, certfile: _env:CERT}}",
      ),
      { PORT: "5001", PROXY: "10.0.0.0/8", ORIGIN: "https://example.com", KEY: "/k" },
    );
    expect(http.port).to.equal(5001);
    expect(http.trusted_proxies).to.deep.equal(["127.0.0.1", "10.0.0.0/8"]);
    expect(cors?.origins).to.deep.equal(["https://example.com"]);
    expect(email_exceptions?.smtp_secure).to.deep.equal({ keyfile: "/k" });
  });

  const coerced: [string, string, (settings: ReturnType<typeof settingsFrom>) => unknown, unknown][] = [
    ["debug", "true", (s) => s.debug, true],
    ["debug", "TRUE", (s) => s.debug, true],
    ["debug", "yes", (s) => s.debug, true],
    ["debug", "False", (s) => s.debug, false],
    ["loglevel", "WARNING", (s) => s.loglevel, "warn"],
    ["workers", "4", (s) => s.workers, 4],
    ["workers", "auto", (s) => s.workers, "auto"],
    ["http: {port}", "5000", (s) => s.http.port, 5000],
    ["http: {max_layer_size}", "10G", (s) => s.http.max_layer_size, 10 * 1024 ** 3],
    ["http: {max_layer_size}", "1024", (s) => s.http.max_layer_size, 1024],
    ["http: {trusted_proxies}", "[127.0.0.1, '::1']", (s) => s.http.trusted_proxies, ["127.0.0.1", "::1"]],
    ["http: {trusted_proxies}", "127.0.0.1, ::1", (s) => s.http.trusted_proxies, ["127.0.0.1", "::1"]],
    ["cors: {origins}", "*", (s) => s.cors?.origins, ["*"]],
    ["registry_endpoints", "a:5000, b:5000", (s) => s.registry_endpoints, "a:5000, b:5000"],
    ["registry_endpoints", "[a:5000, b:5000]", (s) => s.registry_endpoints, "a:5000, b:5000"],
    ["index_endpoint", "http://localhost:8080/", (s) => s.index_endpoint, "http://localhost:8080"],
    ["search_backend", "sqlalchemy", (s) => s.search_backend, "database"],
    ["search_backend", "./my/index.js", (s) => s.search_backend, "./my/index.js"],
    ["bugsnag", "0123", (s) => s.bugsnag, "0123"],
    ["storage", "FILE", (s) => s.storage, "local"],
    ["privileged_key", "~/key.pem", (s) => s.privileged_key, "/home/me/key.pem"],
  ];
  for (const [option, text, pick, value] of coerced) {
    it(`makes ${JSON.stringify(text)} of the environment what ${option} takes`, () => {
      const line = option.replace(/(\w+)(\}?)$/, "$1: _env:VALUE$2");
      const yaml = dev(line).replace(option === "storage" ? "  storage: local\n" : "", "");
      expect(pick(settingsFrom(yaml, { VALUE: text, HOME: "/home/me" }))).to.deep.equal(value);
    });
  }

  const secure: [string, unknown][] = [
    ["false", false],
    ["true", true],
    ["/key.pem", { keyfile: "/key.pem" }],
    ["{keyfile: /k, certfile: /c}", { keyfile: "/k", certfile: "/c" }],
  ];
  for (const [text, value] of secure) {
    it(`takes ${text} for smtp_secure`, () => {
      const yaml = dev("email_exceptions: {smtp_host: h, from_addr: f, to_addr: t, smtp_secure: _env:SMTP_SECURE}");
      expect(settingsFrom(yaml, { SMTP_SECURE: text }).email_exceptions?.smtp_secure).to.deep.equal(value);
    });
  }

  it("takes cors.resources as patterns or as a map from patterns to options", () => {
    const yaml = dev("cors: {origins: '*', resources: _env:RESOURCES}");
    expect(settingsFrom(yaml, { RESOURCES: "/v1/*" }).cors?.resources).to.deep.equal(["/v1/*"]);
    expect(settingsFrom(yaml, { RESOURCES: "{/v1/*: {methods: [GET], max_age: 5}}" }).cors?.resources).to.deep.equal({
      "/v1/*": { methods: ["GET"], max_age: 5 },
    });
  });

  it("tells which variable holds a wrong value", () => {
    const { problems } = evaluated(dev("http: {port: _env:SOME_PORT}"), { SOME_PORT: "http" });
    expect(problems).to.deep.equal([
      {
        file: "config.yml",
        line: 4,
        flavor: "dev",
        key: "http.port",
        problem: '"http" is not a whole number from 0 to 65535',
        remedy: "Set SOME_PORT to a whole number from 0 to 65535, or unset it.",
      },
    ]);
  });
});

describe("the server's own variables", () => {
  it("count though the file says nothing of them, ours before the original's", () => {
    const settings = settingsFrom(dev(), {
      REGISTRY_PORT: "5001",
      REGISTRY_HOST: "",
      GUNICORN_WORKERS: "3",
      GUNICORN_SILENT_TIMEOUT: "10",
      REGISTRY_SHUTDOWN_TIMEOUT: "20",
      GUNICORN_GRACEFUL_TIMEOUT: "30",
      REGISTRY_TLS_CERTIFICATE: "/c",
      REGISTRY_TLS_KEY: "/k",
    });
    expect(settings.workers).to.equal(3);
    expect(settings.http).to.include({ port: 5001, host: "127.0.0.1", idle_timeout: 10, shutdown_timeout: 20 });
    expect(settings.http.tls).to.deep.equal({ certificate: "/c", key: "/k" });
  });

  it("don't count against what the file says", () => {
    expect(settingsFrom(dev("http: {port: 1234}"), { REGISTRY_PORT: "5001" }).http.port).to.equal(1234);
  });

  it("are the only ones: others count where the file names them", () => {
    const settings = settingsFrom(dev(), { DEBUG: "true", LOGLEVEL: "error", STORAGE_PATH: "/other" });
    expect(settings).to.include({ debug: false, loglevel: "info", storage_path: "/data" });
  });

  it("are named when they are wrong, without a line", () => {
    const { problems } = evaluated(dev(), { REGISTRY_WORKERS: "many" });
    expect(problems).to.have.length(1);
    expect(problems[0]).to.include({ key: "workers", problem: '"many" is not a number of processes or auto' });
    expect(problems[0]).not.to.have.property("line");
    expect(problems[0]?.remedy).to.contain("Set REGISTRY_WORKERS to");
  });
});
