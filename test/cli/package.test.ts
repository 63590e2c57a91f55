import { execFile } from "node:child_process";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect } from "chai";
import { freePort, Program, removeFolder, temporaryFolder } from "../support/program.ts";
import { needs } from "../support/needs.ts";
import { V1Client } from "../support/v1-client.ts";
import { smallChain } from "../support/v1-images.ts";

const run = promisify(execFile);
const root = fileURLToPath(new URL("../../", import.meta.url));

describe("registryctl as an installed package", function () {
  this.timeout(600_000);
  let folder: string;
  let cwd: string;
  let env: NodeJS.ProcessEnv;
  let packed: readonly string[];

  before(async function () {
    needs(this, "bash", "npm");
    folder = await temporaryFolder();
    // Without scripts: they would build anew what servers of other tests start from.
    const { stdout } = await run("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", folder], {
      cwd: root,
      maxBuffer: 1e8,
    });
    const [pack] = JSON.parse(stdout.slice(stdout.indexOf("["))) as { filename: string; files: { path: string }[] }[];
    if (!pack) throw new Error("npm packed nothing");
    packed = pack.files.map(({ path }) => path);
    const home = join(folder, "elsewhere");
    await mkdir(home);
    await writeFile(join(home, "package.json"), '{"private": true}');
    const quiet = ["--prefer-offline", "--no-audit", "--no-fund", "--no-progress"];
    await run("npm", ["install", ...quiet, join(folder, pack.filename)], { cwd: home, maxBuffer: 1e8 });
    cwd = join(folder, "work");
    await mkdir(cwd);
    const path = [join(home, "node_modules/.bin"), process.env["PATH"]].join(delimiter);
    // Tests may be run by npx, but these commands are not.
    env = { ...process.env, PATH: path, npm_command: undefined };
  });
  after(async () => {
    await removeFolder(folder);
  });
  /** A line of shell, as a user types it. */
  const shell = async (line: string) => await run("bash", ["-c", line], { cwd, env, maxBuffer: 1e8 });

  it("holds what it needs and nothing else", () => {
    expect(packed).to.include.members([
      ...["package.json", "LICENSE", "bin/registryctl.js", "dist/program/main.js", "dist/types/server/index.d.ts"],
      ...["templates/nginx.conf.mustache", "templates/apache.conf.mustache", "config/config_sample.yml"],
    ]);
    expect(packed.filter((path) => /^(src|test)\/|\.test\.|\.env|\.pem$/.test(path))).to.deep.equal([]);
  });

  it("knows its version", async () => {
    const { version } = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as { version: string };
    expect((await shell("registryctl --version")).stdout).to.equal(`${version}\n`);
  });

  it("writes a configuration whose next commands work as printed, up to a push", async () => {
    const port = await freePort();
    const { stdout } = await shell(`registryctl init --yes --port ${port} --offload nginx`);
    const [check, serve, proxy] = stdout.trim().split("\n");
    expect([check, serve, proxy]).to.deep.equal([
      "registryctl check --flavor prod",
      "registryctl serve --flavor prod",
      "registryctl gen-nginx --flavor prod",
    ]);
    expect((await shell(`${check}`)).stdout).to.contain(`ok  port 127.0.0.1:${port}: free`);
    expect((await shell(`${proxy}`)).stdout).to.contain(`server 127.0.0.1:${port};`);
    const client = new V1Client(`http://127.0.0.1:${port}`);
    const server = new Program("bash", ["-c", `exec ${serve}`], { cwd, env });
    try {
      await server.ready("the registry", async () => (await client.send("GET", "/v1/_ping")).status === 200, 60);
      await client.push("me/app", "v1", await smallChain(2));
      const running = await shell(`${check}`);
      expect(running.stdout).to.contain("a registry is running there").and.contain("a file was written and deleted");
    } finally {
      expect(await server.stop("SIGINT")).to.equal(0);
    }
    expect(server.output).to.contain(`"url":"http://127.0.0.1:${port}"`);
  });

  it("serves with several workers and ends well at SIGTERM", async () => {
    const port = await freePort();
    await shell(`registryctl init workers.yml --yes --port ${port} --storage-path workers`);
    const client = new V1Client(`http://127.0.0.1:${port}`);
    const server = new Program("bash", ["-c", "exec registryctl serve -c workers.yml -f prod --workers 2"], {
      cwd,
      env,
    });
    try {
      await server.ready("the registry", async () => (await client.send("GET", "/v1/_ping")).status === 200, 60);
      await client.push("me/app", "v1", await smallChain(1));
      expect(await client.pull("me/app", "v1")).to.have.length(1);
    } finally {
      expect(await server.stop("SIGTERM")).to.equal(0);
    }
  });

  it("ends with 1 and a sentence when the port is taken", async () => {
    const port = await freePort();
    const holder = new Program(process.execPath, [
      "-e",
      `net.createServer().listen(${port}, "127.0.0.1", () => console.log("up"))`,
    ]);
    await holder.ready("the other program", () => holder.output.includes("up"));
    try {
      const line = `registryctl init taken.yml --yes --force --port ${port} > /dev/null 2>&1; registryctl serve -c taken.yml -f prod; echo "[$?]"`;
      const { stdout, stderr } = await shell(line);
      expect(stdout).to.equal("[1]\n");
      expect(stderr).to.match(/^error: .*\d/m);
      expect(stderr).not.to.contain("    at ");
    } finally {
      await holder.stop();
    }
  });

  it("does not mind a reader that has seen enough", async () => {
    const { stdout, stderr } = await shell('registryctl config schema | head -n 1; echo "${PIPESTATUS[0]}"');
    expect([stdout, stderr]).to.deep.equal(["{\n0\n", ""]);
  });

  it("keeps data and notes apart", async () => {
    const { stdout, stderr } = await shell("registryctl keygen key --bits 2048 --json");
    expect(JSON.parse(stdout)).to.include({ private: join(cwd, "key.pem") });
    expect(stderr).to.equal("");
  });
});
