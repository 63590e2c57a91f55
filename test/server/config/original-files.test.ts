import { expect } from "chai";
import { loadAll, load } from "../../../src/server/config/load.ts";
import { ConfigError } from "../../../src/server/config/problem.ts";

const folder = new URL("./fixtures/", import.meta.url).pathname;
/** What the original did not have, by default. */
const newMirrorOptions = { hosts: [], protocol: "v2", push: true, repositories: [], upstreams: [] };
const allVariables = {
  STORAGE_PATH: "/srv/images",
  LOGLEVEL: "warn",
  DEBUG: "TRUE",
  STANDALONE: "false",
  INDEX_ENDPOINT: "https://index.example.com",
  DISABLE_TOKEN_AUTH: "true",
  PRIVILEGED_KEY: "/etc/key.pem",
  STORAGE_REDIRECT: "true",
  SEARCH_BACKEND: "sqlalchemy",
  SQLALCHEMY_INDEX_DATABASE: "postgresql://user:word@db:5432/index",
  ELLIPTICS_NODES: "elliptics-1:1025:2 [2001:db8::2]:1025:10",
  ELLIPTICS_GROUPS: "[1, 2]",
  ELLIPTICS_WAIT_TIMEOUT: "30",
  ELLIPTICS_CHECK_TIMEOUT: "20",
  ELLIPTICS_IO_THREAD_NUM: "2",
  ELLIPTICS_NET_THREAD_NUM: "2",
  ELLIPTICS_NONBLOCKING_IO_THREAD_NUM: "2",
  ELLIPTICS_VERBOSITY: "1",
  ELLIPTICS_LOGFILE: "/var/log/elliptics.log",
  ELLIPTICS_ADDR_FAMILY: "10",
  MIRROR_SOURCE: "https://registry.example.com",
  MIRROR_SOURCE_INDEX: "https://index.example.com",
  MIRROR_TAGS_CACHE_TTL: "60",
  CACHE_REDIS_HOST: "redis",
  CACHE_REDIS_PORT: "6380",
  CACHE_REDIS_DB: "1",
  CACHE_REDIS_PASSWORD: "secret",
  CACHE_LRU_REDIS_HOST: "lru",
  CACHE_LRU_REDIS_PORT: "6381",
  CACHE_LRU_REDIS_DB: "2",
  CACHE_LRU_REDIS_PASSWORD: "secret",
  SMTP_HOST: "mail",
  SMTP_PORT: "587",
  SMTP_LOGIN: "me",
  SMTP_PASSWORD: "secret",
  SMTP_SECURE: "true",
  SMTP_FROM_ADDR: "from@example.com",
  SMTP_TO_ADDR: "to@example.com",
  AWS_BUCKET: "images",
  GCS_BUCKET: "images",
  AWS_KEY: "key",
  AWS_SECRET: "secret",
  AWS_REGION: "eu-west-1",
  AWS_HOST: "ceph.example.com",
  AWS_PORT: "7480",
  AWS_CALLING_FORMAT: "boto.s3.connection.OrdinaryCallingFormat",
  OS_AUTH_URL: "https://keystone.example.com:5000/v3",
  OS_CONTAINER: "images",
  OS_USERNAME: "registry",
  OS_PASSWORD: "secret",
  OS_TENANT_NAME: "project",
  OS_REGION_NAME: "RegionOne",
  BUGSNAG: "key",
  SECRET_KEY: "random",
  CORS_ORIGINS: "[https://a.example.com, https://b.example.com]",
  CORS_METHODS: "GET",
  CORS_HEADERS: "[Content-Type, Authorization]",
  CORS_EXPOSE_HEADERS: "X-Docker-Token",
  CORS_SUPPORTS_CREDENTIALS: "true",
  CORS_MAX_AGE: "600",
  CORS_SEND_WILDCARD: "false",
  CORS_ALWAYS_SEND: "false",
  CORS_AUTOMATIC_OPTIONS: "false",
  CORS_VARY_HEADER: "false",
  CORS_RESOURCES: "[/v1/*]",
};

describe("the original's sample files", () => {
  const glances = ["glance", "openstack", "glance-swift", "openstack-swift"];
  /** `bucket` are flavors that can be served once their bucket is named; what 0.6.9 wants to be replaced, has to be. */
  const files: { file: string; served: string[]; bucket?: string[]; lacking: Record<string, string> }[] = [
    {
      file: "original-sample-0.6.9.yml",
      served: ["dev", "test"],
      bucket: ["swift", "openstack"],
      lacking: {},
    },
    {
      file: "original-sample-0.7.1.yml",
      served: ["local", "dev", "test"],
      bucket: ["s3", "gcs", "prod", "swift", "elliptics", ...glances],
      lacking: {},
    },
    {
      file: "original-sample-0.9.1.yml",
      served: ["local", "dev", "test"],
      bucket: ["s3", "ceph-s3", "gcs", "prod", "swift", "elliptics", ...glances],
      lacking: {
        azureblob: "azureblob",
        oss: "oss",
      },
    },
    { file: "original-mirror-0.7.1.yml", served: ["dev"], lacking: {} },
  ];
  const asked = (flavor: string): readonly string[] => {
    if (flavor === "swift" || glances.includes(flavor)) return ["swift_authurl", "swift_user", "swift_password"];
    if (flavor === "elliptics") return ["elliptics_nodes"];
    return [flavor === "gcs" ? "boto_bucket" : "s3_bucket"];
  };
  const mistaken: Readonly<Record<string, readonly string[]>> = {
    "original-sample-0.6.9.yml prod": ["s3_encrypt", "s3_secure"],
    "original-sample-0.6.9.yml openstack-swift": ["swift_authurl"],
    "original-sample-0.9.1.yml cloudfronts3": ["cloudfront"],
  };
  for (const { file, served, bucket = [], lacking } of files) {
    for (const [situation, env] of Object.entries({ "no variables": {}, "all variables": allVariables })) {
      it(`${file} has nothing wrong but the storages that this version lacks, with ${situation}`, async () => {
        const { flavors, problems } = await loadAll({ configFile: folder + file, env, cwd: "/" });
        expect(problems).to.deep.equal([]);
        const loaded = flavors.filter((flavor) => flavor.loaded).map(({ flavor }) => flavor);
        const isSet = "AWS_BUCKET" in env;
        expect(loaded).to.have.members([...served, ...(isSet ? bucket : [])]);
        for (const evaluation of flavors.filter((flavor) => !flavor.loaded)) {
          const keys = evaluation.problems.map(({ key }) => key);
          const storage = lacking[evaluation.flavor];
          const mistakes = mistaken[`${file} ${evaluation.flavor}`] ?? [];
          if (storage === undefined) {
            const unset =
              isSet || (file.includes("0.6.9") && !["swift", "openstack"].includes(evaluation.flavor))
                ? []
                : asked(evaluation.flavor);
            expect(keys, evaluation.flavor).to.have.members([...mistakes, ...unset]);
            continue;
          }
          expect(keys, evaluation.flavor).to.deep.equal(["storage"]);
          expect(evaluation.problems[0]?.problem).to.match(new RegExp(`storage ${storage}( is not supported)?$`));
        }
        const wrong = Object.keys(mistaken).filter((name) => name.startsWith(`${file} `));
        expect(flavors).to.have.length(served.length + bucket.length + wrong.length + Object.keys(lacking).length);
      });
    }
  }

  it("0.9.1 reads every one of its variables", async () => {
    const { settings, warnings } = await load({
      configFile: `${folder}original-sample-0.9.1.yml`,
      flavor: "local",
      env: allVariables,
      cwd: "/",
    });
    expect(warnings.map(({ key }) => key)).to.deep.equal(["storage_redirect", "cache.host"]);
    expect(settings).to.deep.include({
      storage: "local",
      storage_path: "/srv/images",
      loglevel: "warn",
      debug: true,
      issue: '"docker-registry server"',
      standalone: false,
      index_endpoint: "https://index.example.com",
      disable_token_auth: true,
      privileged_key: "/etc/key.pem",
      storage_redirect: true,
      search_backend: "database",
      sqlalchemy_index_database: "postgresql://user:word@db:5432/index",
      mirroring: {
        source: "https://registry.example.com",
        source_index: "https://index.example.com",
        tags_cache_ttl: 60,
        ...newMirrorOptions,
      },
      cache: { host: "redis", port: 6380, db: 1, password: "secret" },
      cache_lru: { host: "lru", port: 6381, db: 2, password: "secret" },
      email_exceptions: {
        smtp_host: "mail",
        smtp_port: 587,
        smtp_login: "me",
        smtp_password: "secret",
        smtp_secure: true,
        from_addr: "from@example.com",
        to_addr: "to@example.com",
      },
      bugsnag: "key",
      cors: {
        origins: ["https://a.example.com", "https://b.example.com"],
        methods: ["GET"],
        headers: ["Content-Type", "Authorization"],
        expose_headers: ["X-Docker-Token"],
        supports_credentials: true,
        max_age: 600,
        send_wildcard: false,
        always_send: false,
        automatic_options: false,
        vary_header: false,
        resources: ["/v1/*"],
      },
    });
  });

  it("0.9.1 without variables serves dev with search, and the rest off", async () => {
    const { settings } = await load({ configFile: `${folder}original-sample-0.9.1.yml`, env: {}, cwd: "/" });
    expect(settings).to.include({
      storage_path: "/tmp/registry",
      debug: true,
      search_backend: "database",
      loglevel: "debug",
    });
    expect(settings).not.to.have.any.keys("mirroring", "cache", "cache_lru", "email_exceptions", "bugsnag", "cors");
  });

  it("0.7.1 keeps its test flavor below the home folder", async () => {
    const options = { configFile: `${folder}original-sample-0.7.1.yml`, flavor: "test", cwd: "/" };
    expect((await load({ ...options, env: { HOME: "/home/me" } })).settings.storage_path).to.equal("/home/me/tmp/test");
  });

  it("0.6.9 is warned of the placeholders that count, and only of those", async () => {
    const { flavors } = await loadAll({ configFile: `${folder}original-sample-0.6.9.yml`, env: {}, cwd: "/" });
    const prod = flavors.find(({ flavor }) => flavor === "prod");
    expect(prod?.warnings.map(({ key }) => key)).to.deep.equal([
      "boto_bucket",
      "s3_access_key",
      "s3_secret_key",
      "s3_bucket",
      "s3_encrypt",
      "s3_secure",
      "email_exceptions.smtp_host",
      "email_exceptions.smtp_login",
      "email_exceptions.smtp_password",
      "bugsnag",
    ]);
    expect(flavors.find(({ flavor }) => flavor === "dev")?.warnings).to.deep.equal([]);
  });

  it("the mirror file mirrors", async () => {
    const { settings } = await load({ configFile: `${folder}original-mirror-0.7.1.yml`, env: {}, cwd: "/" });
    expect(settings.mirroring).to.deep.equal({
      source: "https://registry-1.docker.io",
      source_index: "https://index.docker.io",
      tags_cache_ttl: 864000,
      ...newMirrorOptions,
    });
  });

  it("say that flavors of other versions' samples are not there", async () => {
    const failure = await load({
      configFile: `${folder}original-sample-0.7.1.yml`,
      flavor: "oss",
      env: {},
      cwd: "/",
    }).catch((error: unknown) => error);
    expect(failure).to.be.instanceOf(ConfigError);
    expect(String(failure)).to.contain("the flavor oss is not supported");
  });
});
