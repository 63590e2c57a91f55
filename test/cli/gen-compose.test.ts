import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "chai";
import { load as parseYaml } from "js-yaml";
import { registryctl, succeeds } from "../support/cli.ts";
import { removeFolder, temporaryFolder } from "../support/program.ts";

interface Service {
  readonly image: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly command?: readonly string[];
  readonly healthcheck?: { readonly test: readonly string[] };
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
}

interface Project {
  readonly services: Readonly<Record<string, Service>>;
  readonly volumes: Readonly<Record<string, unknown>>;
}

/** The keys that the compose specification knows, of those that such a file could use. */
const known = [
  ...[
    "build",
    "cap_drop",
    "command",
    "depends_on",
    "environment",
    "healthcheck",
    "image",
    "init",
    "ports",
    "read_only",
  ],
  ...["restart", "security_opt", "stop_grace_period", "tmpfs", "volumes"],
];

describe("registryctl gen-compose", () => {
  let cwd: string;
  before(async () => {
    cwd = await temporaryFolder();
    await writeFile(
      join(cwd, "config.yml"),
      `prod: { storage: local, storage_path: /srv/registry, nginx_x_accel_redirect: /internal, http: { port: 5050, shutdown_timeout: 60 } }
inside: { storage: local, storage_path: /var/lib/registryctl/images }
tls: { storage: local, storage_path: /srv/registry, http: { tls: { certificate: c, key: k } } }
`,
    );
  });
  after(async () => {
    await removeFolder(cwd);
  });
  const project = async (...args: string[]) => parseYaml(await succeeds(["gen-compose", ...args], { cwd })) as Project;

  it("runs the sample configuration by its variables", async () => {
    const { services, volumes } = await project("--flavor", "local");
    expect(services).to.have.all.keys("registry");
    expect(services["registry"]).to.deep.include({
      command: ["serve", "--host", "0.0.0.0", "--port", "5000"],
      ports: ["5000:5000"],
      volumes: ["data:/var/lib/registryctl"],
      environment: {
        SETTINGS_FLAVOR: "local",
        STORAGE_PATH: "/var/lib/registryctl/storage",
        SEARCH_BACKEND: "database",
        SQLALCHEMY_INDEX_DATABASE: "sqlite:////var/lib/registryctl/search.db",
      },
    });
    expect(volumes).to.have.all.keys("data");
  });

  it("mounts a configuration of one's own, and the storage that it names", async () => {
    const { services } = await project("-c", "config.yml", "-f", "prod", "--nginx");
    const { registry, nginx } = services;
    expect(registry?.environment).to.deep.equal({
      SETTINGS_FLAVOR: "prod",
      DOCKER_REGISTRY_CONFIG: "/etc/registryctl/config.yml",
    });
    expect(registry?.volumes).to.deep.equal([
      "data:/var/lib/registryctl",
      "/srv/registry:/srv/registry",
      `${cwd}/config.yml:/etc/registryctl/config.yml:ro`,
    ]);
    expect(registry).not.to.have.property("ports");
    expect(nginx?.volumes).to.include("/srv/registry:/srv/registry:ro");
    expect((await project("-c", "config.yml", "-f", "inside")).services["registry"]?.volumes).to.have.length(2);
  });

  it("puts Redis and PostgreSQL beside it and waits for them", async () => {
    const { services, volumes } = await project("--flavor", "local", "--redis", "--postgres");
    expect(services).to.have.all.keys("registry", "redis", "postgres");
    expect(services["registry"]?.depends_on).to.deep.equal({
      redis: { condition: "service_healthy" },
      postgres: { condition: "service_healthy" },
    });
    expect(services["registry"]?.environment).to.include({
      CACHE_LRU_REDIS_HOST: "redis",
      SQLALCHEMY_INDEX_DATABASE: "postgresql://registry:${POSTGRES_PASSWORD}@postgres:5432/registry",
    });
    expect(volumes).to.have.all.keys("data", "postgres");
  });

  it("uses no key that compose does not know, whatever is asked for", async () => {
    const choices = [["--redis"], ["--postgres"], ["--nginx"], ["--build", "."], ["--publish", "80"]];
    for (let mask = 0; mask < 2 ** choices.length; mask++) {
      const args = choices.flatMap((choice, index) => ((mask >> index) & 1 ? choice : []));
      const { services, volumes, ...rest } = await project("--flavor", "local", ...args);
      expect(rest).to.deep.equal({});
      for (const [name, service] of Object.entries(services)) {
        expect(known, name).to.include.members(Object.keys(service));
        const mounted = (service.volumes ?? [])
          .map((volume) => volume.split(":")[0] ?? "")
          .filter((source) => /^\w/.test(source));
        expect(Object.keys(volumes), name).to.include.members(mounted);
        for (const dependency of Object.keys(service.depends_on ?? {})) {
          expect(services[dependency], dependency).to.have.property("healthcheck");
        }
      }
    }
  });

  it("probes over HTTPS where the registry speaks that", async () => {
    const probe = async (flavor: string) =>
      (await project("-c", "config.yml", "-f", flavor)).services["registry"]?.healthcheck?.test.at(-1);
    expect(await probe("prod")).to.contain("fetch('http://127.0.0.1:5050/livez')");
    expect(await probe("tls"))
      .to.contain("fetch('https://127.0.0.1:5000/livez')")
      .and.contain("NODE_TLS_REJECT_UNAUTHORIZED");
  });

  it("says which variables a configuration of one's own has to read", async () => {
    const { stderr } = await registryctl(["gen-compose", "-c", "config.yml", "-f", "prod", "--redis"], { cwd });
    expect(stderr).to.contain("_env:CACHE_LRU_REDIS_HOST");
  });
});

describe("Dockerfile", () => {
  it("copies what exists, also past .dockerignore, and does not run as root", async () => {
    const root = fileURLToPath(new URL("../../", import.meta.url));
    const [dockerfile, ignore] = await Promise.all([
      readFile(join(root, "Dockerfile"), "utf8"),
      readFile(join(root, ".dockerignore"), "utf8"),
    ]);
    const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap((match) =>
      (match[1] ?? "").split(" "),
    );
    expect(copied).to.include.members(["package.json", "package-lock.json", "src", "bin", "templates", "config"]);
    for (const path of copied) expect(ignore.split("\n"), path).to.include(`!${path.replace(/^\.\//, "")}`);
    expect(dockerfile).to.match(/^USER node$/m);
  });
});
