import { expect } from "chai";
import { pushImage, sampleLayer } from "../support/bridged-registry.ts";
import { registryctl, succeeds } from "../support/cli.ts";
import { startInherited, waysTo, type InheritedRegistry } from "../support/inherited-registry.ts";
import { needs } from "../support/needs.ts";
import { bin } from "../support/program.ts";
import type { RegistryServer } from "../support/registry-server.ts";
import { TerminalSession } from "../support/terminal.ts";
import { smallChain } from "../support/v1-images.ts";

describe("registryctl rm", function () {
  this.timeout(180_000);
  let registry: InheritedRegistry;
  let cwd: string;
  let server: RegistryServer;
  beforeEach(async () => {
    registry = await startInherited(10);
    ({ folder: cwd, server } = registry);
    await pushImage(server.client, "team/app", "1.0", [sampleLayer("one")]);
    await server.client.push("team/app", "old", await smallChain(1));
  });
  afterEach(async () => {
    await registry.close();
  });
  const statuses = async (repository: string, tag: string) => {
    const v2 = await server.client.send("GET", `/v2/${repository}/manifests/${encodeURIComponent(tag)}`);
    const v1 = await server.client.send("GET", `/v1/repositories/${repository}/tags/${encodeURIComponent(tag)}`);
    return [v2.status, v1.status];
  };

  for (const { way, args } of waysTo(() => registry)) {
    for (const tag of ["1.0", "old"]) {
      it(`removes a tag in both protocols ${way}: ${tag}`, async () => {
        expect(await statuses("team/app", tag)).to.deep.equal([200, 200]);
        expect(await succeeds(["rm", `team/app:${tag}`, "--yes", ...args()], { cwd })).to.equal(
          `removed team/app:${tag}\n`,
        );
        expect(await statuses("team/app", tag)).to.deep.equal([404, 404]);
        const again = await registryctl(["rm", `team/app:${tag}`, "--yes", ...args()], { cwd });
        expect(again.code).to.equal(1);
        expect(again.stderr).to.contain(`has no team/app:${tag}`);
      });
    }

    it(`removes a tag that V2 can't spell ${way}`, async () => {
      const [repository, tag] = ["team-1/app.9", "a+1 x"];
      expect((await statuses(repository, tag))[1]).to.equal(200);
      await succeeds(["rm", `${repository}:${tag}`, "--yes", ...args()], { cwd });
      expect((await statuses(repository, tag))[1]).to.equal(404);
      expect(await statuses(repository, "latest")).to.deep.equal([200, 200]);
    });
  }

  it("does nothing without a terminal or --yes", async () => {
    const { code, stderr } = await registryctl(["rm", "team/app:1.0", "--url", server.url], { cwd });
    expect(code).to.equal(2);
    expect(stderr).to.contain("--yes");
    expect(await statuses("team/app", "1.0")).to.deep.equal([200, 200]);
  });

  it("takes no digest, and no name without a tag", async () => {
    for (const name of ["team/app", `team/app@sha256:${"0".repeat(64)}`]) {
      expect((await registryctl(["rm", name, "--yes", "--url", server.url], { cwd })).code, name).to.equal(2);
    }
  });

  it("asks on a terminal", async function () {
    needs(this, "tmux");
    const session = await TerminalSession.start(cwd, `${process.execPath} ${bin} rm team/app:1.0 --url ${server.url}`);
    try {
      await session.shows("Remove team/app:1.0 from");
      await session.press("Enter");
      await session.shows("[exit 1]");
      expect(await statuses("team/app", "1.0")).to.deep.equal([200, 200]);
    } finally {
      await session.close();
    }
    const second = await TerminalSession.start(cwd, `${process.execPath} ${bin} rm team/app:1.0 --url ${server.url}`);
    try {
      await second.shows("Remove team/app:1.0 from");
      await second.press("y", "Enter");
      await second.shows("[exit 0]");
      expect(await statuses("team/app", "1.0")).to.deep.equal([404, 404]);
    } finally {
      await second.close();
    }
  });
});
