import { readFile } from "node:fs/promises";
import { expect } from "chai";
import { shippedFolder } from "../../../src/server/config/config-file.ts";
import { configJsonSchema } from "../../../src/server/config/json-schema.ts";
import { load, loadAll } from "../../../src/server/config/load.ts";
import { settingsSchema } from "../../../src/server/config/schema.ts";
import { fieldsOf, metaOf } from "../../../src/server/config/schema-walk.ts";

const sample = `${shippedFolder}config_sample.yml`;

describe("the shipped sample", () => {
  const flavors = [
    "local",
    "s3",
    "ceph-s3",
    "gcs",
    "swift",
    "glance",
    "openstack",
    "glance-swift",
    "openstack-swift",
    "elliptics",
  ];

  /** What has to be said before a flavor can be served. */
  const asks: Readonly<Record<string, readonly string[]>> = {
    s3: ["s3_bucket"],
    "ceph-s3": ["s3_bucket"],
    prod: ["s3_bucket"],
    gcs: ["boto_bucket"],
    elliptics: ["elliptics_nodes"],
    ...Object.fromEntries(
      ["swift", "glance", "openstack", "glance-swift", "openstack-swift"].map((flavor) => [
        flavor,
        ["swift_authurl", "swift_user", "swift_password"],
      ]),
    ),
  };

  it("has every flavor of the original, and nothing wrong but what has to be said first", async () => {
    const checked = await loadAll({ configFile: sample, env: {}, cwd: "/" });
    expect(checked.problems).to.deep.equal([]);
    expect(checked.flavors.map(({ flavor }) => flavor)).to.have.members([...flavors, "dev", "test", "prod"]);
    for (const { flavor, loaded, problems, warnings } of checked.flavors) {
      expect(warnings, flavor).to.deep.equal([]);
      if (["local", "dev", "test"].includes(flavor)) expect(loaded, flavor).not.to.equal(undefined);
      else
        expect(
          problems.map(({ key }) => key),
          flavor,
        ).to.deep.equal(asks[flavor]);
    }
  });

  it("keeps images in the bucket that variables name, with the keys that AWS's own variables hold too", async () => {
    const names = { AWS_BUCKET: "images", AWS_ACCESS_KEY_ID: "key", AWS_SECRET_ACCESS_KEY: "secret", AWS_SESSION_TOKEN: "t" }; // prettier-ignore
    for (const [flavor, encrypts] of [
      ["s3", true],
      ["ceph-s3", false],
      ["prod", true],
    ] as const) {
      const { settings } = await load({ configFile: sample, flavor, env: names, cwd: "/" });
      expect(settings).to.include({
        storage: "s3",
        s3_bucket: "images",
        s3_access_key: "key",
        s3_secret_key: "secret",
      });
      expect(settings).to.include({ storage_path: flavor === "prod" ? "/prod" : "/registry", s3_session_token: "t" });
      expect([settings.s3_encrypt, settings.s3_secure], flavor).to.deep.equal([encrypts, encrypts]);
      const ours = { ...names, AWS_KEY: "ours", AWS_SECRET: "ours too" };
      const own = (await load({ configFile: sample, flavor, env: ours, cwd: "/" })).settings;
      expect(own).to.include({ s3_access_key: "ours", s3_secret_key: "ours too" });
    }
  });

  it("keeps images in the container that OpenStack's own variables name", async () => {
    const env = {
      OS_AUTH_URL: "http://keystone:5000/v3",
      OS_USERNAME: "me",
      OS_PASSWORD: "secret",
      OS_TENANT_NAME: "ours",
      OS_IDENTITY_API_VERSION: "3",
      OS_USER_DOMAIN_NAME: "Mine",
    };
    const { settings } = await load({ configFile: sample, flavor: "swift", env, cwd: "/" });
    expect(settings).to.include({
      storage: "swift",
      storage_path: "/registry",
      swift_authurl: "http://keystone:5000/v3",
      swift_container: "dev_container",
      swift_tenant_name: "ours",
      swift_auth_version: 3,
      swift_user_domain_name: "Mine",
    });
    const { OS_TENANT_NAME: name, ...newer } = env;
    const named = { ...newer, OS_PROJECT_NAME: name };
    const today = await load({ configFile: sample, flavor: "swift", env: named, cwd: "/" });
    expect(today.settings).to.deep.equal(settings);
  });

  const hosts: [string, Record<string, string>, string][] = [
    ["dev", {}, "127.0.0.1"],
    ["local", {}, "0.0.0.0"],
    ["test", {}, "0.0.0.0"],
    ["dev", { REGISTRY_HOST: "10.0.0.1" }, "10.0.0.1"],
    ["local", { REGISTRY_HOST: "10.0.0.1" }, "10.0.0.1"],
  ];
  for (const [flavor, env, host] of hosts) {
    it(`listens on ${host} in ${flavor} with ${JSON.stringify(env)}`, async () => {
      const { settings } = await load({ configFile: sample, flavor, env: { REGISTRY_PORT: "5005", ...env }, cwd: "/" });
      expect(settings.http).to.include({ host, port: 5005, max_json_size: 4194304 });
    });
  }

  it("searches and logs all in dev, keeps images in /tmp/registry, and lets variables change that", async () => {
    const options = { configFile: sample, flavor: "dev", cwd: "/" };
    const plain = (await load({ ...options, env: {} })).settings;
    expect(plain).to.include({ search_backend: "database", loglevel: "debug", storage_path: "/tmp/registry" });
    const changed = (await load({ ...options, env: { SEARCH_BACKEND: "", LOGLEVEL: "error", STORAGE_PATH: "/srv" } }))
      .settings;
    expect(changed).to.include({ loglevel: "error", storage_path: "/srv" });
    expect(changed).not.to.have.any.keys("search_backend");
  });

  it("takes the variables of the original's server behind ours", async () => {
    const env = { GUNICORN_WORKERS: "4", GUNICORN_SILENT_TIMEOUT: "5", GUNICORN_GRACEFUL_TIMEOUT: "6" };
    const { workers, http } = (await load({ configFile: sample, env, cwd: "/" })).settings;
    expect([workers, http.idle_timeout, http.shutdown_timeout]).to.deep.equal([4, 5, 6]);
    const ours = { REGISTRY_WORKERS: "2", REGISTRY_IDLE_TIMEOUT: "7", REGISTRY_SHUTDOWN_TIMEOUT: "8" };
    const mine = (await load({ configFile: sample, env: { ...env, ...ours }, cwd: "/" })).settings;
    expect([mine.workers, mine.http.idle_timeout, mine.http.shutdown_timeout]).to.deep.equal([2, 7, 8]);
  });

  it("reads every variable that an option names, and those of the original's samples", async () => {
    const text = await readFile(sample, "utf8");
    const unread = variablesOf(settingsSchema).filter(
      (name) =>
        !text.includes(`_env:${name}`) &&
        !/^GUNICORN_|^AWS_(ACCESS_KEY_ID|SECRET_ACCESS_KEY)$|^OS_PROJECT_NAME$/.test(name),
    );
    expect(unread).to.deep.equal([]);
    const fixtures = new URL("./fixtures/", import.meta.url);
    for (const file of ["original-sample-0.6.9.yml", "original-sample-0.7.1.yml", "original-sample-0.9.1.yml"]) {
      const original = await readFile(new URL(file, fixtures), "utf8");
      const names = Array.from(original.matchAll(/_env:(\w+)/g), ([, name]) => name ?? "");
      expect(
        names.filter((name) => !/^(AZURE|OSS|CF)_/.test(name) && !text.includes(`_env:${name}`)),
        file,
      ).to.deep.equal([]);
    }
  });
});

describe("the shipped mirror file", () => {
  it("names what it mirrors, without a warning", async () => {
    const { settings, warnings } = await load({ configFile: `${shippedFolder}config_mirror.yml`, env: {}, cwd: "/" });
    expect(warnings.map(({ key, line }) => [key, line])).to.deep.equal([]);
    expect(settings.mirroring?.source).to.equal("https://registry-1.docker.io");
  });
});

describe("the schema", () => {
  it("describes every option in sentences", () => {
    for (const [key, description] of descriptionsOf(settingsSchema, "")) {
      expect(description, key).to.match(/^[A-Z].*\.$/);
    }
  });

  it("is JSON Schema that knows every option, and asks for none", () => {
    const schema = JSON.parse(JSON.stringify(configJsonSchema())) as {
      $defs: {
        flavor: {
          properties: Record<string, { properties?: object; anyOf?: object[] }>;
          additionalProperties: boolean;
        };
      };
    };
    const { properties, additionalProperties } = schema.$defs.flavor;
    expect(Object.keys(properties)).to.include.members([...Object.keys(settingsSchema.shape), "s3_bucket"]);
    expect(additionalProperties).to.equal(false);
    expect(properties["http"]?.properties).to.include.all.keys("host", "port", "tls");
    expect(properties["debug"]?.anyOf).to.deep.equal([
      { type: "boolean" },
      { type: "string", pattern: "^_env:" },
      { type: "null" },
    ]);
    expect(JSON.stringify(schema)).not.to.match(/"(env|secret|aliases|required)":/);
  });

  it("is what the reference in docs/ tells", async () => {
    const reference = await readFile(new URL("../../../docs/configuration.md", import.meta.url), "utf8");
    for (const [key] of descriptionsOf(settingsSchema, "")) expect(reference).to.contain(`\`${key}\``);
  });
});

type Schema = Parameters<typeof fieldsOf>[0];

function variablesOf(schema: Schema): string[] {
  return Object.values(fieldsOf(schema) ?? {}).flatMap((field) => [
    ...(metaOf(field).env ?? []),
    ...variablesOf(field),
  ]);
}

function descriptionsOf(schema: Schema, prefix: string): [string, string | undefined][] {
  return Object.entries(fieldsOf(schema) ?? {}).flatMap(([name, field]) => [
    [prefix + name, metaOf(field).description],
    ...descriptionsOf(field, `${prefix}${name}.`),
  ]);
}
