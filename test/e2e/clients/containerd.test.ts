import { expect } from "chai";
import { describeClient } from "../../support/client-suite.ts";
import { Containerd, needsContainerd } from "../../support/containerd.ts";
import { writeImage, writeMultiPlatformImage, type ImageLayout } from "../../support/image-layout.ts";
import { digestOf } from "../../support/oci-image.ts";

describeClient("containerd", "skopeo", (stage, front) => {
  let containerd: Containerd | undefined;
  before(async function () {
    needsContainerd(this);
    containerd = await Containerd.start(stage().registry);
  });
  after(async () => {
    await containerd?.stop();
  });

  it("pushes and pulls an image", async () => {
    const image = await writeImage(stage().tools.path("one"), 3_000_000);
    const { ctr, name, way } = await pushed(image, "one");
    await ctr("images", "pull", ...way, "--snapshotter", "native", name);
    expect(await ctr("images", "ls", `name==${name}`)).to.contain(image.digest);
    await holds(ctr, image);
  });

  it("pushes and pulls an index of several platforms", async () => {
    const image = await writeMultiPlatformImage(stage().tools.path("several"));
    const { ctr, name, way } = await pushed(image, "several");
    await ctr("content", "fetch", "--all-platforms", ...way, name);
    expect(await ctr("images", "ls", `name==${name}`)).to.contain(image.digest);
    await holds(ctr, image);
  });

  /** Pushes an image from a namespace that then has nothing. `ctr` runs there; `way` is how it reaches the registry. */
  async function pushed({ reference }: ImageLayout, namespace: string) {
    const { registry, tools } = stage();
    const ctr = async (...args: string[]) => await containerd!.ctr(namespace, ...args);
    const { login } = front;
    const user = login ? ["--user", `${login.user}:${login.password}`] : [];
    const way = ["--hosts-dir", containerd!.hosts, ...user];
    const name = `${registry.address}/foo/${namespace}:v1`;
    const archive = tools.path(`${namespace}.tar`);
    await tools.skopeo("copy", "--all", reference, `oci-archive:${archive}:${name}`);
    await ctr("images", "import", "--no-unpack", "--all-platforms", archive);
    await ctr("images", "push", ...way, name);
    await ctr("images", "rm", "--sync", name);
    expect(await ctr("content", "ls", "-q")).to.equal("");
    return { ctr, name, way };
  }
});

/** Expects that a namespace has the content of an image, every byte of it, and nothing else. */
async function holds(ctr: (...args: string[]) => Promise<string>, image: ImageLayout): Promise<void> {
  const below = image.images.flatMap(({ digest, config, layers }) => [digest, config, ...layers]);
  const listed = (await ctr("content", "ls", "-q")).trim().split("\n");
  expect(listed).to.have.members([...new Set([image.digest, ...below])]);
  expect(digestOf(await ctr("content", "get", image.digest))).to.equal(image.digest);
}
