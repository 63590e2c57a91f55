import { mkdir, readFile, writeFile } from "node:fs/promises";
import { expect } from "chai";
import { describeClient, digestAt } from "../../support/client-suite.ts";
import { greeting, writeImage, writeMultiPlatformImage } from "../../support/image-layout.ts";

const imageIndex = "application/vnd.oci.image.index.v1+json";
const manifestList = "application/vnd.docker.distribution.manifest.list.v2+json";

describeClient("buildah", "buildah", (stage) => {
  const name = (image: string) => `${stage().registry.address}/${image}`;

  it("builds an image on one that it pulls, and pushes it", async () => {
    const { tools } = stage();
    const base = await writeImage(tools.path("base"));
    await tools.skopeo("copy", base.reference, `docker://${name("foo/base:v1")}`);
    await mkdir(tools.path("context"));
    const lines = [
      `FROM ${name("foo/base:v1")}`,
      "COPY Dockerfile /",
      `RUN ["/bin/busybox", "cp", "/greeting", "/built"]`,
      `CMD ["/bin/busybox", "cat", "/built"]`,
    ];
    await writeFile(tools.path("context/Dockerfile"), lines.join("\n"));
    await tools.buildah("build", "-q", "--layers", "-t", name("foo/built:v1"), tools.path("context"));
    const id = await tools.buildah("images", "-q", "--no-trunc", name("foo/built:v1"));
    await tools.buildah("push", "-q", "--digestfile", tools.path("digest"), name("foo/built:v1"));
    const digest = await digestAt(stage(), "foo/built", "v1");
    expect(await readFile(tools.path("digest"), "utf8")).to.equal(digest);

    await tools.buildah("rmi", "-a", "-f");
    expect(`sha256:${await tools.buildah("pull", "-q", name(`foo/built@${digest}`))}`).to.equal(id);
    const container = (await tools.buildah("from", name(`foo/built@${digest}`))).trim();
    expect(await tools.buildah("run", container, "/bin/busybox", "cat", "/built")).to.equal(`${greeting}\n`);
    await tools.buildah("rm", container);
  });

  for (const [format, type] of [
    ["oci", imageIndex],
    ["v2s2", manifestList],
  ] as const) {
    it(`makes a list of images and pushes it as ${format}, with all of them`, async () => {
      const { tools, registry } = stage();
      const { reference, images } = await writeMultiPlatformImage(tools.path(`listed-as-${format}`));
      const [list, target] = [`list-as-${format}`, name(`foo/list-as-${format}:v1`)];
      await tools.buildah("manifest", "create", list);
      await tools.buildah("manifest", "add", "--all", list, reference);
      const push = [
        "manifest",
        "push",
        "-q",
        "--all",
        "--format",
        format,
        "--digestfile",
        tools.path(`${list}.digest`),
      ];
      await tools.buildah(...push, list, `docker://${target}`);
      const digest = await digestAt(stage(), `foo/list-as-${format}`, "v1");
      expect(await readFile(tools.path(`${list}.digest`), "utf8")).to.equal(digest);

      const { headers } = await registry.client.expect([200], "HEAD", `/v2/foo/${list}/manifests/v1`);
      expect(headers["content-type"]).to.equal(type);
      for (const [index, architecture] of ["amd64", "arm64"].entries()) {
        const pulled = (await tools.buildah("pull", "-q", "--arch", architecture, target)).trim();
        expect(`sha256:${pulled}`).to.equal(images[index]!.config);
      }
      expect(JSON.parse(await tools.buildah("manifest", "inspect", target))).to.have.nested.property("manifests[1]");
    });
  }
});
