import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import { describeClient, digestAt, failureOf, type Stage } from "../../support/client-suite.ts";
import { command } from "../../support/command.ts";
import { plainHttp } from "../../support/fronted-registry.ts";
import { blobOf, writeImage, writeMultiPlatformImage } from "../../support/image-layout.ts";
import { digestOf } from "../../support/oci-image.ts";

const mebibyte = 1024 * 1024;

describeClient("skopeo", "skopeo", (stage, front) => {
  const url = (image: string) => `docker://${stage().registry.address}/${image}`;

  it("copies an image in and out without changing a byte", async () => {
    const { tools } = stage();
    const [inside, outside] = [tools.path("in"), tools.path("out")];
    const image = await writeImage(inside, 24 * mebibyte);
    await tools.skopeo("copy", image.reference, url("foo/app:v1"));
    expect(await digestAt(stage(), "foo/app", "v1")).to.equal(image.digest);
    await tools.skopeo("copy", url("foo/app:v1"), `oci:${outside}:v1`);
    for (const { digest, config, layers } of image.images) {
      for (const blob of [digest, config, ...layers]) {
        expect((await blobOf(outside, blob)).equals(await blobOf(inside, blob)), blob).to.equal(true);
      }
    }
  });

  it("copies an image from one repository to another, by digest too", async () => {
    const { tools } = stage();
    const { reference, digest } = await writeImage(tools.path("between"));
    await tools.skopeo("copy", reference, url("foo/one:v1"));
    await tools.skopeo("copy", url(`foo/one@${digest}`), url("some/deeper/name/two:v2"));
    expect(await digestAt(stage(), "some/deeper/name/two", "v2")).to.equal(digest);
  });

  if (front.login) {
    it("is not let in with a wrong password, nor without one", async () => {
      const { tools } = stage();
      const wrong = await failureOf(tools.login("skopeo", { user: "alice", password: "wrong" }));
      expect(wrong).to.match(/unauthorized|invalid username\/password/);
      const none = await failureOf(tools.skopeo("list-tags", "--no-creds", url("foo/app")));
      expect(none).to.match(/unauthorized|authentication required|401/i);
    });
  }

  if (front === plainHttp) everyWayToCopy(stage);
});

/** What is the same through each front. */
function everyWayToCopy(stage: () => Stage): void {
  const url = (image: string) => `docker://${stage().registry.address}/${image}`;
  const file = (name: string) => stage().tools.path(name);

  it("copies docker's archives in and out", async () => {
    const { tools } = stage();
    const image = await writeImage(file("for-archive"));
    const config = image.images[0]!.config;
    await tools.skopeo("copy", image.reference, `docker-archive:${file("in.tar")}:app:v1`);
    await tools.skopeo("copy", `docker-archive:${file("in.tar")}`, url("foo/archive:v1"));
    const manifest = JSON.parse(await tools.skopeo("inspect", "--raw", url("foo/archive:v1"))) as {
      mediaType: string;
      config: { digest: string };
    };
    expect(manifest.mediaType).to.equal("application/vnd.docker.distribution.manifest.v2+json");
    expect(manifest.config.digest).to.equal(config);

    await tools.skopeo("copy", url("foo/archive:v1"), `docker-archive:${file("out.tar")}:app:v1`);
    const contents = async (name: string) => {
      const folder = file(`${name}-contents`);
      await command("sh", ["-c", `mkdir "$1" && tar -xf "$0" -C "$1"`, file(name), folder]);
      const names = (await readdir(folder)).filter((entry) => entry.endsWith(".tar")).sort();
      return await Promise.all(names.map(async (entry) => [entry, digestOf(await readFile(join(folder, entry)))]));
    };
    const sent = await contents("in.tar");
    expect(sent).to.have.length(3);
    expect(await contents("out.tar")).to.deep.equal(sent);
  });

  it("copies layers of zstd", async () => {
    const { tools } = stage();
    const image = await writeImage(file("for-zstd"));
    await tools.skopeo("copy", image.reference, `docker-archive:${file("zstd.tar")}:app:v1`);
    const compressed = ["--dest-compress", "--dest-compress-format", "zstd", "--format", "oci"];
    await tools.skopeo("copy", ...compressed, `docker-archive:${file("zstd.tar")}`, `oci:${file("zstd")}:v1`);
    const raw = await tools.skopeo("inspect", "--raw", `oci:${file("zstd")}:v1`);
    expect(raw).to.contain("application/vnd.oci.image.layer.v1.tar+zstd");
    await tools.skopeo("copy", "--preserve-digests", `oci:${file("zstd")}:v1`, url("foo/zstd:v1"));
    await tools.skopeo("copy", "--preserve-digests", url("foo/zstd:v1"), `oci:${file("zstd-out")}:v1`);
    expect(await tools.skopeo("inspect", "--raw", `oci:${file("zstd-out")}:v1`)).to.equal(raw);
    const { layers } = JSON.parse(raw) as { layers: { digest: string }[] };
    for (const { digest } of layers) expect(digestOf(await blobOf(file("zstd-out"), digest))).to.equal(digest);
  });

  it("copies all platforms of an image, and the one of this machine", async () => {
    const { tools } = stage();
    const image = await writeMultiPlatformImage(file("platforms"));
    await tools.skopeo("copy", "--all", image.reference, url("foo/platforms:v1"));
    await tools.skopeo("copy", "--all", url("foo/platforms:v1"), `oci:${file("platforms-out")}:v1`);
    for (const blob of [image.digest, ...image.images.flatMap(({ digest, config }) => [digest, config])]) {
      expect(digestOf(await blobOf(file("platforms-out"), blob))).to.equal(blob);
    }
    const arm = await tools.skopeo("--override-arch", "arm64", "inspect", "--config", "--raw", url("foo/platforms:v1"));
    expect(digestOf(arm)).to.equal(image.images[1]!.config);
  });

  it("synchronizes a repository with a folder and another one", async () => {
    const { tools, registry } = stage();
    const image = await writeMultiPlatformImage(file("for-sync"));
    for (const tag of ["v1", "v2"]) await tools.skopeo("copy", "--all", image.reference, url(`foo/sync:${tag}`));
    const source = `${registry.address}/foo/sync`;
    await tools.skopeo("sync", "--all", "--src", "docker", "--dest", "dir", source, file("synced"));
    await tools.skopeo(
      "sync",
      "--all",
      "--src",
      "dir",
      "--dest",
      "docker",
      file("synced"),
      `${registry.address}/from-dir`,
    );
    await tools.skopeo("sync", "--all", "--src", "docker", "--dest", "docker", source, `${registry.address}/mirror`);
    for (const name of ["from-dir/sync", "mirror/sync"]) {
      for (const tag of ["v1", "v2"]) expect(await digestAt(stage(), name, tag), name).to.equal(image.digest);
    }
  });

  it("lists tags, inspects and deletes", async () => {
    const { tools } = stage();
    const [kept, gone] = [await writeImage(file("kept"), 10), await writeImage(file("gone"), 20)];
    for (const tag of ["v1", "v10", "v2"]) await tools.skopeo("copy", kept.reference, url(`foo/tags:${tag}`));
    await tools.skopeo("copy", gone.reference, url("foo/tags:gone"));
    const listed = async () =>
      (JSON.parse(await tools.skopeo("list-tags", url("foo/tags"))) as { Tags: string[] }).Tags;
    expect(await listed()).to.deep.equal(["gone", "v1", "v10", "v2"]);

    const inspected = JSON.parse(await tools.skopeo("inspect", url("foo/tags:v2"))) as Record<string, unknown>;
    expect(inspected).to.deep.include({
      Digest: kept.digest,
      RepoTags: ["gone", "v1", "v10", "v2"],
      Architecture: "amd64",
      Layers: kept.images[0]!.layers,
      Labels: { é: "ü" },
    });
    expect(digestOf(await tools.skopeo("inspect", "--raw", url("foo/tags:v2")))).to.equal(kept.digest);

    await tools.skopeo("delete", url("foo/tags:gone"));
    expect(await listed()).to.deep.equal(["v1", "v10", "v2"]);
    expect(await failureOf(tools.skopeo("inspect", url("foo/tags:gone")))).to.contain("manifest unknown");
    expect(await digestAt(stage(), "foo/tags", "v1")).to.equal(kept.digest);
  });

  it("is told what to do instead of pushing schema 1", async () => {
    const { tools } = stage();
    const { reference } = await writeImage(file("schema1"));
    const refused = await failureOf(tools.skopeo("copy", "--format", "v2s1", reference, url("foo/schema1:v1")));
    expect(refused).to.match(/schema 1/i);
    expect(refused).to.match(/docker 1\.10 or newer/);
  });
}
