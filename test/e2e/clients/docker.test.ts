import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import { describeClient, digestAt, failureOf, type Stage } from "../../support/client-suite.ts";
import { DockerEngine, needsDocker } from "../../support/docker-engine.ts";
import { plainHttp, type Front } from "../../support/fronted-registry.ts";
import { greeting, writeImage, writeMultiPlatformImage } from "../../support/image-layout.ts";

/** Gives a suite an engine that is logged in. */
function engineFor(stage: () => Stage, { login }: Front): () => DockerEngine {
  let engine: DockerEngine | undefined;
  before(async function () {
    needsDocker(this);
    engine = await DockerEngine.start(stage().registry);
    if (login) await engine.login(login);
  });
  after(async () => {
    await engine?.stop();
  });
  return () => engine!;
}

describeClient("docker 20.10", "skopeo", (stage, front) => {
  const engine = engineFor(stage, front);
  const docker = async (...args: string[]) => await engine().docker(...args);
  const inspect = async (name: string, field: string) => (await docker("inspect", "-f", `{{${field}}}`, name)).trim();

  it("pushes and pulls an image", async () => {
    const { tools, registry } = stage();
    const image = await writeImage(tools.path("pushed"), 3_000_000);
    const id = image.images[0]!.config;
    const name = `${registry.address}/foo/docker:v1`;
    await tools.skopeo("copy", image.reference, `docker-archive:${tools.path("pushed.tar")}:${name}`);
    await docker("load", "-i", tools.path("pushed.tar"));
    expect(await inspect(name, ".Id")).to.equal(id);

    const pushed = await docker("push", name);
    const digest = await digestAt(stage(), "foo/docker", "v1");
    expect(pushed).to.contain(`v1: digest: ${digest}`);
    await docker("rmi", name);
    expect(await docker("images", "-q")).to.equal("");

    expect(await docker("pull", name)).to.contain(`Digest: ${digest}`);
    expect(await inspect(name, ".Id")).to.equal(id);
    expect(await inspect(name, "index .RepoDigests 0")).to.equal(`${registry.address}/foo/docker@${digest}`);
    expect(await docker("run", "--rm", "--network", "none", name)).to.equal(`${greeting}\n`);
    await docker("rmi", name);
  });

  it("pulls an OCI index and an image by digest", async () => {
    const { tools, registry } = stage();
    const image = await writeMultiPlatformImage(tools.path("index"));
    const [own] = image.images;
    const repository = `${registry.address}/foo/docker-index`;
    await tools.skopeo("copy", "--all", image.reference, `docker://${repository}:v1`);
    expect(await docker("pull", `${repository}:v1`)).to.contain(`Digest: ${image.digest}`);
    expect(await inspect(`${repository}:v1`, ".Id")).to.equal(own!.config);
    await docker("pull", `${repository}@${own!.digest}`);
    await docker("rmi", own!.config);
  });

  if (front.login) {
    it("is not let in with a wrong password, nor without one", async () => {
      const { address } = stage().registry;
      expect(await failureOf(engine().login({ user: "alice", password: "wrong" }))).to.match(/unauthorized|401/i);
      await docker("logout", address);
      expect(await failureOf(docker("pull", `${address}/foo/docker:v1`))).to.match(
        /unauthorized|no basic auth|plain HTTP/, // the last where it tries again over HTTP, as it does on 127.0.0.1
      );
      expect(await engine().login(front.login!)).to.contain("Login Succeeded");
    });
  }

  if (front === plainHttp) makesImages(stage, engine);
});

/** What is the same through each front. */
function makesImages(stage: () => Stage, engine: () => DockerEngine): void {
  const docker = async (...args: string[]) => await engine().docker(...args);
  const name = (image: string) => `${stage().registry.address}/${image}`;

  before(async () => {
    const { tools } = stage();
    const base = await writeImage(tools.path("base"));
    await tools.skopeo("copy", base.reference, `docker://${name("foo/base:v1")}`);
    const context = join(engine().folder, "context");
    await mkdir(context);
    const lines = [
      `FROM ${name("foo/base:v1")}`,
      "COPY Dockerfile /",
      `RUN ["/bin/busybox", "cp", "/greeting", "/built"]`,
      `CMD ["/bin/busybox", "cat", "/built"]`,
    ];
    await writeFile(join(context, "Dockerfile"), lines.join("\n"));
  });

  for (const [builder, environment] of [
    ["docker", { DOCKER_BUILDKIT: "0" }],
    ["buildkit", { DOCKER_BUILDKIT: "1" }],
  ] as const) {
    it(`builds with ${builder} from what it pulls, and pushes that`, async () => {
      const built = name(`foo/built-by-${builder}:v1`);
      await engine().run(["build", "--network", "host", "-t", built, "context"], { environment });
      const id = await docker("images", "-q", "--no-trunc", built);
      const pushed = await docker("push", built);
      await docker("rmi", built);
      expect(await docker("pull", built)).to.contain(/digest: (\S+)/.exec(pushed)![1]);
      expect(await docker("images", "-q", "--no-trunc", built)).to.equal(id);
      expect(await docker("run", "--rm", "--network", "none", built)).to.equal(`${greeting}\n`);
    });
  }

  it("searches", async () => {
    const found = await docker("search", "--format", "{{.Name}}", name("bas"));
    expect(found.trim().split("\n")).to.deep.equal(["foo/base"]);
  });

  it("makes manifest lists, and inspects them", async () => {
    const { tools } = stage();
    const { images } = await writeMultiPlatformImage(tools.path("listed"));
    const manifests: string[] = [];
    for (const architecture of ["amd64", "arm64"]) {
      const one = name(`foo/listed:${architecture}`);
      const copy = ["--override-arch", architecture, "copy", `oci:${tools.path("listed")}:v1`];
      await tools.skopeo(...copy, "--format", "v2s2", `docker://${one}`);
      manifests.push(one);
    }
    await docker("manifest", "create", "--insecure", name("foo/listed:all"), ...manifests);
    const digest = (await docker("manifest", "push", "--insecure", name("foo/listed:all"))).trim().split("\n").at(-1);
    expect(await digestAt(stage(), "foo/listed", "all")).to.equal(digest);

    const list = JSON.parse(await docker("manifest", "inspect", "--insecure", name("foo/listed:all"))) as {
      mediaType: string;
      manifests: { digest: string; platform: { architecture: string } }[];
    };
    expect(list.mediaType).to.equal("application/vnd.docker.distribution.manifest.list.v2+json");
    expect(list.manifests.map(({ platform }) => platform.architecture)).to.deep.equal(["amd64", "arm64"]);
    for (const [index, listed] of list.manifests.entries()) {
      const one = JSON.parse(
        await docker("manifest", "inspect", "--insecure", name(`foo/listed@${listed.digest}`)),
      ) as { config: { digest: string } };
      expect(one.config.digest).to.equal(images[index]!.config);
    }
  });
}
