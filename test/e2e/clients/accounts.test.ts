import { expect } from "chai";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { hashed } from "../../../src/server/accounts/password-hash.ts";
import { selfSigned } from "../../support/certificate.ts";
import { failureOf } from "../../support/client-suite.ts";
import { ContainerTools, needsContainerTools } from "../../support/container-tools.ts";
import { DockerEngine, needsDocker } from "../../support/docker-engine.ts";
import { endOfSuite } from "../../support/end-of-suite.ts";
import { writeImage } from "../../support/image-layout.ts";
import { removeFolder, temporaryFolder } from "../../support/program.ts";
import { RegistryProcess } from "../../support/registry-process.ts";
import { TokenServer } from "../../support/token-server.ts";
import { smallChain } from "../../support/v1-images.ts";

const ann = { user: "ann", password: "wonder" };

/** A way to say who may do what: ann everything, and whoever it is may pull what is public. */
interface Kind {
  readonly name: string;
  readonly settings: (folder: string, tokens: TokenServer) => Promise<readonly string[]>;
}

const kinds: readonly Kind[] = [
  {
    name: "with the registry's own tokens",
    settings: async (folder) => {
      const htpasswd = join(folder, "htpasswd");
      await writeFile(htpasswd, `ann:${await hashed("wonder", 5)}\nbob:${await hashed("builder", 5)}\n`);
      const rules = [
        "{ who: [anonymous, '*'], repositories: 'public/*', actions: pull }",
        "{ who: bob, repositories: 'team/*', actions: pull }",
      ];
      // What is public, ann may push too: the first rule about somebody decides.
      const first = "{ who: ann, actions: all }";
      return [`auth: { htpasswd: ${htpasswd}, rules: [${[first, ...rules].join(", ")}] }`];
    },
  },
  {
    name: "with another service's tokens",
    settings: async (folder, { realm, service, issuer }) => {
      const token = [`realm: "${realm}"`, `service: ${service}`, `issuer: ${issuer}`];
      const certificates = `certificates: ${join(folder, "tokens.crt")}`;
      return await Promise.resolve([`auth: { token: { ${[...token, certificates].join(", ")} } }`]);
    },
  },
];

for (const kind of kinds) {
  describe(`clients ${kind.name}`, function () {
    this.timeout(300_000);
    const atEnd = endOfSuite();
    let registry: RegistryProcess;
    let tools: ContainerTools;
    let tokens: TokenServer;
    let address: string;

    before(async function () {
      needsContainerTools(this, "skopeo", "podman", "buildah");
      const folder = await temporaryFolder("accounts");
      atEnd(() => removeFolder(folder));
      const certificate = await selfSigned(folder, "tokens");
      tokens = await TokenServer.start({
        certificate,
        users: { ann: "wonder" },
        publicRepositories: ["public/app"],
      });
      atEnd(() => tokens.stop());
      // Two, so that one reads the tokens that the other has signed.
      registry = await RegistryProcess.start([...(await kind.settings(folder, tokens)), "workers: 2"]);
      atEnd(() => registry.stop());
      address = `127.0.0.1:${registry.port}`;
      tools = await ContainerTools.create({ address, authority: undefined });
      atEnd(() => tools.remove());
    });

    const copy = async (image: string, repository: string) =>
      await tools.skopeo("copy", image, `docker://${address}/${repository}:v1`);
    const inspect = async (repository: string) => await tools.skopeo("inspect", `docker://${address}/${repository}:v1`);

    it("skopeo logs in, pushes, and pulls what is public without an account", async () => {
      const image = await writeImage(tools.path("skopeo"), 50_000);
      expect(await failureOf(copy(image.reference, "team/app"))).to.match(
        /unauthorized|authentication required|denied/i,
      );
      expect(await failureOf(tools.login("skopeo", { ...ann, password: "wrong" }))).to.match(
        /unauthorized|invalid username/i,
      );
      await tools.login("skopeo", ann);
      for (const repository of ["team/app", "public/app"]) await copy(image.reference, repository);
      await inspect("team/app");
      await tools.skopeo("logout", address);
      expect(await inspect("public/app")).to.contain(image.digest);
      expect(await failureOf(inspect("team/app"))).to.match(/unauthorized|authentication required|denied/i);
      expect(await failureOf(inspect("team/none"))).to.match(/unauthorized|authentication required|denied/i);
    });

    it("podman and buildah log in, push, pull and mount", async () => {
      await tools.login("podman", ann);
      await tools.podman("pull", `${address}/team/app:v1`);
      await tools.podman("push", `${address}/team/app:v1`, `${address}/team/again:v1`);
      await tools.podman("logout", address);
      expect(await failureOf(tools.podman("pull", `${address}/team/again:v1`))).to.match(
        /unauthorized|authentication|denied/i,
      );
      await tools.login("buildah", ann);
      const container = (await tools.buildah("from", "--pull-always", `${address}/team/again:v1`)).trim();
      await tools.buildah("commit", "--rm", container, `docker://${address}/team/built:v1`);
      await inspect("team/built");
      await tools.skopeo("logout", address);
    });

    it("docker logs in, pushes, and pulls without an account what is public", async function () {
      needsDocker(this);
      const engine = await DockerEngine.start({ address, authority: undefined });
      atEnd(() => engine.stop());
      await engine.docker("pull", `${address}/public/app:v1`);
      expect(await failureOf(engine.docker("pull", `${address}/team/app:v1`))).to.match(
        /denied|unauthorized|no basic auth/i,
      );
      expect(await failureOf(engine.login({ ...ann, password: "wrong" }))).to.match(/unauthorized|401/i);
      expect(await engine.login(ann)).to.contain("Login Succeeded");
      await engine.docker("pull", `${address}/team/app:v1`);
      await engine.docker("tag", `${address}/team/app:v1`, `${address}/team/docker:v1`);
      await engine.docker("push", `${address}/team/docker:v1`);
      await engine.docker("logout", address);
      expect(await failureOf(engine.docker("push", `${address}/team/docker:v1`))).to.match(
        /denied|unauthorized|no basic auth/i,
      );
    });

    if (kind.name.includes("own")) {
      it("docker of V1 logs in, pushes and pulls with its tokens, over HTTP and as it does over TLS", async () => {
        const images = await smallChain(3);
        await registry.client({ login: "ann:wonder" }).push("team/v1", "latest", images);
        for (const client of [registry.client({ login: "bob:builder" }), registry.client({ basic: "bob:builder" })]) {
          expect((await client.pull("team/v1", "latest")).map(({ id }) => id)).to.deep.equal(
            images.map(({ id }) => id),
          );
        }
        const pushing = registry.client({ login: "bob:builder" }).push("team/v1", "latest", images);
        expect(await failureOf(pushing)).to.contain("answered 403");
        const bridged = await registry.client({ login: "bob:builder" }).pull("team/app", "v1");
        expect(bridged).not.to.be.empty;
        await tools.login("skopeo", { user: "bob", password: "builder" });
        expect(await tools.skopeo("inspect", `docker://${address}/team/v1:latest`)).to.contain("sha256:");
        await tools.skopeo("logout", address);
      });
    } else {
      it("asks that service alone", () => {
        expect(tokens.given).to.include("ann repository:team/app:pull,push");
        expect(tokens.given.some((line) => line.startsWith("anonymous repository:public/app:pull"))).to.equal(true);
      });
    }
  });
}
