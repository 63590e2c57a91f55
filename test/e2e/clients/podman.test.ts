import { readFile } from "node:fs/promises";
import { expect } from "chai";
import { describeClient, digestAt, failureOf } from "../../support/client-suite.ts";
import { greeting, writeImage } from "../../support/image-layout.ts";

describeClient("podman", "podman", (stage, front) => {
  const name = (image: string) => `${stage().registry.address}/${image}`;
  let id: string;
  before(async () => {
    const { tools } = stage();
    const image = await writeImage(tools.path("image"), 3_000_000);
    await tools.skopeo("copy", image.reference, `oci-archive:${tools.path("image.tar")}:${name("foo/podman:v1")}`);
    await tools.podman("load", "-q", "-i", tools.path("image.tar"));
    id = image.images[0]!.config;
  });

  for (const format of ["oci", "v2s2"]) {
    it(`pushes an image as ${format}, pulls it by tag and by digest`, async () => {
      const { tools } = stage();
      const repository = name(`foo/podman-${format}`);
      const digestFile = tools.path(`${format}.digest`);
      await tools.podman("push", "--format", format, "--digestfile", digestFile, id, `${repository}:v1`);
      const digest = await digestAt(stage(), `foo/podman-${format}`, "v1");
      expect(await readFile(digestFile, "utf8")).to.equal(digest);

      for (const pulled of [`${repository}:v1`, `${repository}@${digest}`]) {
        await tools.podman("rmi", "-a", "-f");
        expect(`sha256:${(await tools.podman("pull", "-q", pulled)).trim()}`).to.equal(id);
        expect(await tools.podman("inspect", "-f", "{{.Digest}}", pulled)).to.equal(`${digest}\n`);
      }
      const container = (await tools.podman("create", id)).trim();
      await tools.podman("cp", `${container}:/greeting`, tools.path("greeting"));
      expect(await readFile(tools.path("greeting"), "utf8")).to.equal(`${greeting}\n`);
    });
  }

  it("pulls all tags of a repository", async () => {
    const { tools } = stage();
    for (const tag of ["v1", "v2"]) await tools.podman("push", id, name(`foo/tags:${tag}`));
    await tools.podman("pull", "-q", "--all-tags", name("foo/tags"));
    const tags = await tools.podman("images", "--format", "{{.Tag}}", name("foo/tags"));
    expect(tags.trim().split("\n").sort()).to.deep.equal(["v1", "v2"]);
  });

  it("searches for repositories and for tags", async () => {
    const { tools } = stage();
    for (const image of ["search/found:v1", "search/found:v2", "search/other:v1"]) {
      await tools.podman("push", id, name(image));
    }
    const search = async (...args: string[]) => {
      const [, ...lines] = (await tools.podman("search", ...args)).trim().split("\n");
      return lines.map((line) => line.trim().split(/\s+/));
    };
    expect(await search(name("foun"))).to.deep.equal([[name("search/found")]]);
    expect(await search(name(""))).to.deep.include.members([[name("search/found")], [name("search/other")]]);
    const tags = ["v1", "v2"].map((tag) => [name("search/found"), tag]);
    expect(await search("--list-tags", name("search/found"))).to.deep.equal(tags);
  });

  if (front.login) {
    it("is not let in with a wrong password, nor after it logged out", async () => {
      const { tools, registry } = stage();
      const wrong = await failureOf(tools.login("podman", { user: "alice", password: "wrong" }));
      expect(wrong).to.match(/invalid username\/password/);
      await tools.podman("logout", registry.address);
      const none = await failureOf(tools.podman("pull", name("foo/podman-oci:v1")));
      expect(none).to.match(/unauthorized|authentication required/);
      expect(await tools.login("podman", front.login!)).to.contain("Login Succeeded!");
    });
  }
});
