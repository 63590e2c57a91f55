import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "chai";
import { command } from "../support/command.ts";
import { ContainerTools, needsContainerTools } from "../support/container-tools.ts";
import { DriverProject } from "../support/driver-project.ts";
import { endOfSuite } from "../support/end-of-suite.ts";
import { needs } from "../support/needs.ts";
import { freePort, Program } from "../support/program.ts";
import { RedisServer } from "../support/redis.ts";
import { V1Client } from "../support/v1-client.ts";
import { smallChain } from "../support/v1-images.ts";

/** Another copy of registryctl than the one that the driver has beside it. */
const other = fileURLToPath(new URL("../../bin/registryctl.js", import.meta.url));

describe("a driver by others, the one of docs/drivers.md", function () {
  this.timeout(300_000);
  let project: DriverProject;
  let redis: RedisServer;
  let url: string;
  let port: number;
  let config: string;
  const atEnd = endOfSuite();

  before(async function () {
    needs(this, "npm");
    redis = await RedisServer.start(this);
    atEnd(() => redis.stop());
    const { host, port: redisPort } = redis.settings;
    url = `redis://${host}:${redisPort}`;
    project = await DriverProject.create();
    atEnd(() => project.remove());
    port = await freePort();
    config = join(project.folder, "etc", "config.yml");
    await mkdir(join(project.folder, "etc"));
    const flavors = [
      `common: { redis_url: "_env:REDIS_URL:${url}/1", http: { port: ${port} } }`,
      "prod: { storage: redis, workers: 2 }",
      'wrong: { storage: redis, redis_url: "http://secretword@here/" }',
      "plain: { storage: memory }",
      "lost: { storage: elsewhere }",
    ];
    await writeFile(config, `${flavors.join("\n")}\n`);
  });

  const own = () => join(project.folder, "node_modules/registryctl/bin/registryctl.js");
  const run = async (program: string, ...args: string[]) =>
    await command(process.execPath, [program, ...args, "--config", config], { cwd: "/" });
  const failure = async (...args: string[]): Promise<string> =>
    await run(other, ...args).then(
      () => "no failure",
      (error: unknown) => String(error),
    );

  async function serving(program: string, work: () => Promise<void>): Promise<void> {
    const server = new Program(process.execPath, [program, "serve", "--config", config, "--flavor", "prod"], {
      cwd: "/",
    });
    try {
      const ready = async () => (await fetch(`http://127.0.0.1:${port}/readyz`)).ok;
      await server.ready("the registry", ready);
      await work();
    } finally {
      await server.stop();
    }
  }

  it("passes the suite that the package has for its author", async () => {
    const folder = join(project.folder, "node_modules/registryctl-driver-redis");
    const mocha = join(project.folder, "node_modules/mocha/bin/mocha.js");
    const env = { ...process.env, REDIS_URL: `${url}/2` };
    const output = await command(process.execPath, [mocha, "--reporter", "json", "index.test.js"], {
      cwd: folder,
      env,
    });
    const { stats } = JSON.parse(output.slice(output.indexOf("{\n"))) as { stats: Record<string, number> };
    expect(stats).to.include({ failures: 0, pending: 0 });
    expect(stats["passes"]).to.be.greaterThan(60);
  });

  for (const [which, program] of [
    ["installed beside it", own],
    ["of another copy of registryctl", () => other],
  ] as const) {
    it(`keeps what skopeo and V1 clients push, with two workers, when the registry is ${which}`, async function () {
      needsContainerTools(this, "skopeo");
      const address = `127.0.0.1:${port}`;
      const client = new V1Client(`http://${address}`);
      const images = await smallChain(3);
      const tools = await ContainerTools.create({ address, authority: undefined });
      try {
        await serving(program(), async () => {
          await client.push("mine/app", "v1", images);
          await tools.skopeo("copy", `docker://${address}/mine/app:v1`, "dir:pulled");
          await tools.skopeo("copy", "dir:pulled", `docker://${address}/other/app:v2`);
          expect((await fetch(`http://${address}/v2/other/app/manifests/missing`)).status).to.equal(404);
        });
        await serving(program(), async () => {
          expect(await client.pull("mine/app", "v1")).to.have.length(3);
          await tools.skopeo("copy", `docker://${address}/other/app:v2`, "dir:again");
        });
        expect(await run(program(), "ls", "--flavor", "prod")).to.contain("other/app");
      } finally {
        await tools.remove();
      }
    });
  }

  it("is probed by check, and shown with its secrets masked", async () => {
    expect(await run(other, "check", "--flavor", "prod")).to.contain("ok  storage redis: it can write, read");
    const shown = await run(other, "config", "show", "--flavor", "prod");
    expect(shown).to.match(/^redis_url +\*{6} +common, line 1 \(REDIS_URL is not set\)$/m);
    expect(shown).not.to.match(/storage_path/);
    expect(await run(other, "config", "show", "--flavor", "plain"), "in common, for others").not.to.contain(
      "redis_url",
    );
  });

  it("is missed by its name, with what to install and where", async () => {
    const text = await failure("check", "--flavor", "lost");
    expect(text).to.contain(`run npm install registryctl-driver-elsewhere in ${join(project.folder, "etc")}`);
  });

  it("is in the JSON Schema of the file that chooses it", async () => {
    const { $defs } = JSON.parse(await run(other, "config", "schema")) as {
      $defs: { flavor: { properties: Record<string, { description?: string; anyOf: unknown[] }> } };
    };
    const { storage, redis_url: option } = $defs.flavor.properties;
    expect(option?.description).to.match(/^The Redis server/);
    expect(JSON.stringify(storage?.anyOf)).to.contain('"redis"');
    const plain = await command(process.execPath, [other, "config", "schema"], { cwd: "/" });
    expect(plain).not.to.contain("redis_url");
  });

  it("says what is wrong with its options, but not what a secret is", async () => {
    const text = await failure("check", "--flavor", "wrong");
    expect(text).to.match(/config\.yml:3: flavor wrong: redis_url: the value is not of the right form/);
    expect(text).to.contain("The Redis server, such as redis://").and.not.contain("secretword");
  });

  it("answers clients that they may come again while its server is away, and says why", async () => {
    await serving(other, async () => {
      await redis.kill();
      try {
        const answer = await fetch(`http://127.0.0.1:${port}/v2/other/app/manifests/v2`);
        expect(answer.status).to.equal(503);
        expect(await failure("check", "--flavor", "prod")).to.contain("failed  storage redis: it can't write: Redis:");
      } finally {
        await redis.start();
      }
    });
  });
});
