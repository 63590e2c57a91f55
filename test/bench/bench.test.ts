import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "chai";
import { quick } from "../../bench/scale.ts";
import { groups } from "../../bench/workloads/index.ts";
import type { Group } from "../../bench/workloads/workload.ts";
import { needs, needsPython } from "../support/needs.ts";
import { Program, removeFolder, temporaryFolder, until } from "../support/program.ts";

const main = fileURLToPath(new URL("../../bench/main.ts", import.meta.url));

/** What no peer can do. */
const withoutPeer = ["v1-layer-push", "v1-layer-pull", "wrong-logins"];

interface Figures {
  readonly workloads: readonly {
    readonly name: string;
    readonly registryctl?: { readonly value: number; readonly peakBytes: number };
    readonly peer?: { readonly value: number };
    readonly failure?: string;
    readonly skipped?: string;
  }[];
  readonly targets: readonly object[];
}

describe("a measurement", () => {
  let folder: string;
  const bench = (...args: string[]): Program =>
    new Program(process.execPath, ["--import=tsx", main, "--folder", folder, ...args]);

  beforeEach(async () => {
    folder = await temporaryFolder("bench");
  });

  afterEach(async () => {
    await removeFolder(folder);
  });

  /** Runs all workloads of these groups, and looks at what is told of them. */
  async function measure(all: readonly Group[], ...args: string[]): Promise<string> {
    const json = join(folder, "figures.json");
    const program = bench("--quick", "--json", json, ...args);
    expect(await program.exited, program.output).to.equal(0);
    const { workloads, targets } = JSON.parse(await readFile(json, "utf8")) as Figures;
    const known = all.flatMap((group) => group.workloads.map(({ name }) => name));
    expect(workloads.map(({ name }) => name)).to.deep.equal(known);
    for (const { name, registryctl, peer, failure, skipped } of workloads) {
      expect(failure, name).to.equal(undefined);
      if (skipped !== undefined) continue;
      expect(registryctl?.value, name).to.be.above(0);
      expect(registryctl?.peakBytes, name).to.be.above(10e6);
      if (!withoutPeer.includes(name)) expect(peer?.value, name).to.be.above(0);
    }
    expect(targets).not.to.deep.equal([]);
    expect(program.output).to.include("figures say nothing about speed");
    expect(await readdir(folder)).to.deep.equal(["figures.json"]);
    return program.output;
  }

  it("runs every workload, and leaves nothing", async function () {
    needs(this, "docker-registry", "nginx");
    this.timeout(300_000);
    const output = await measure(groups(quick).filter(({ store }) => !store));
    expect(output).to.include("| manifest GET by tag, 32 clients").and.match(headingWith("docker-registry"));
  });

  it("runs every workload of object stores when they are named, and leaves nothing", async function () {
    const all = groups(quick).filter(({ store }) => store);
    needs(this, "radosgw", "nginx", "swift-proxy-server", "curl");
    needsPython(this, "keystone", "glance");
    this.timeout(600_000);
    const output = await measure(all, "--only", all.map(({ name }) => name).join(","));
    expect(output).to.match(headingWith("the minio client")).and.match(headingWith("curl"));
  });

  it("fails when a workload does", async () => {
    const program = bench("--quick", "--only", "idle-memory", "--peer", "http://127.0.0.1:9");
    expect(await program.exited).to.equal(1);
    expect(program.output).to.include("FAILED idle-memory");
  });

  it("refuses workloads that it doesn't know", async () => {
    const program = bench("--only", "nonsense");
    expect(await program.exited).to.equal(1);
    expect(program.output).to.include("There is no workload nonsense; --list names them");
  });

  it("stops what it started when it is interrupted", async function () {
    this.timeout(180_000);
    const program = bench("--peer", "none", "--only", "manifest-get-tag,blob-head");
    const url = await until("the registry", async () => {
      const path = (await readdir(folder, { recursive: true })).find((name) => name.endsWith("config.yml"));
      const port = /"port": (\d+)/.exec(path === undefined ? "" : await readFile(join(folder, path), "utf8"))?.[1];
      const found = `http://127.0.0.1:${port ?? 0}`;
      return (await answers(found)) ? found : undefined;
    });
    program.child.kill("SIGINT");
    expect(await program.exited).to.equal(130);
    expect(await readdir(folder)).to.deep.equal([]);
    await until("the registry's end", async () => !(await answers(url)));
  });
});

/** The heading of a table of figures beside that peer. */
function headingWith(peer: string): RegExp {
  return new RegExp(`^\\| workload +\\| unit +\\| +registryctl \\| +${peer} \\|`, "m");
}

async function answers(url: string): Promise<boolean> {
  return await fetch(`${url}/v2/`).then(
    ({ ok }) => ok,
    () => false,
  );
}
