import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { expect } from "chai";
import { pushImage, sampleLayer } from "../support/bridged-registry.ts";
import { registryctl, succeeds } from "../support/cli.ts";
import { startInherited, waysTo, type InheritedRegistry } from "../support/inherited-registry.ts";
import { indexType, pushManifest } from "../support/oci-image.ts";
import { fingerprints } from "../support/old-store.ts";
import type { RegistryServer } from "../support/registry-server.ts";
import { smallChain } from "../support/v1-images.ts";

interface Tags {
  readonly tags: readonly {
    readonly tag: string;
    readonly kind: string;
    readonly digest?: string;
    readonly size?: number;
    readonly created?: string;
    readonly reason?: string;
  }[];
}

describe("registryctl ls", function () {
  this.timeout(180_000);
  let registry: InheritedRegistry;
  let cwd: string;
  let server: RegistryServer;
  before(async () => {
    registry = await startInherited(5);
    ({ folder: cwd, server } = registry);
    await writeFile(join(cwd, "data/repositories/library/ubuntu/tag_gone"), "9".repeat(64));
    const one = await pushImage(server.client, "team/app", "1.0", [sampleLayer("one")]);
    const manifests = [
      {
        mediaType: "application/vnd.oci.image.manifest.v1+json",
        digest: one.digest,
        size: one.bytes.length,
        platform: { os: "linux", architecture: "amd64" },
      },
    ];
    await pushManifest(
      server.client,
      "team/app",
      "multi",
      { schemaVersion: 2, mediaType: indexType, manifests },
      indexType,
    );
    await server.client.push("team/app", "old", await smallChain(2));
  });
  after(async () => {
    await registry.close();
  });

  for (const { way, args } of waysTo(() => registry)) {
    it(`lists all repositories ${way}, those that V2 can't spell too`, async () => {
      const { code, stdout, stderr } = await registryctl(["ls", ...args()], { cwd });
      expect(code).to.equal(0);
      const names = stdout.trimEnd().split("\n");
      expect(names).to.deep.equal([
        ...["foo/more/parts", "library/ubuntu", "team-3/app.3", "team/app"],
        ...["foo/UPPER", "foo/sp ace"],
      ]);
      expect(stderr).to.contain(way === "over HTTP" ? `asking ${server.url}` : `reading ${cwd}/data itself`);
      const json = JSON.parse(await succeeds(["ls", "--json", ...args()], { cwd })) as object;
      expect(json).to.deep.equal({ repositories: names });
    });

    it(`lists the tags of a repository with what they are ${way}`, async () => {
      const { tags } = JSON.parse(await succeeds(["ls", "team/app", "--json", ...args()], { cwd })) as Tags;
      expect(tags.map(({ tag, kind }) => [tag, kind])).to.deep.equal([
        ["1.0", "image"],
        ["multi", "index of 1"],
        ["old", "image"],
      ]);
      for (const { digest, size, created } of tags) {
        expect(digest).to.match(/^sha256:[0-9a-f]{64}$/);
        expect(size).to.be.greaterThan(500);
        expect(created).to.match(/^20[12]4-/);
      }
      const table = await succeeds(["ls", "team/app", ...args()], { cwd });
      expect(table).to.match(/^TAG +DIGEST +KIND +SIZE +CREATED\n1\.0 +sha256:[0-9a-f]{12} +image +[\d.]+ k?B +2024-/);
    });

    it(`tells of tags that can't be pulled, and why, ${way}`, async () => {
      const { tags } = JSON.parse(await succeeds(["ls", "library/ubuntu", "--json", ...args()], { cwd })) as Tags;
      const gone = tags.find(({ tag }) => tag === "gone");
      expect(gone?.kind).to.equal("broken");
      expect(gone?.reason).to.contain(`image ${"9".repeat(64)} is missing`);
      const odd = JSON.parse(await succeeds(["ls", "foo/UPPER", "--json", ...args()], { cwd })) as Tags;
      expect(odd.tags[0]).to.include({ tag: "latest", kind: "V1 image", reason: "V2 can't spell its name" });
    });

    it(`fails for a repository that is not there ${way}`, async () => {
      const { code, stderr } = await registryctl(["ls", "no/thing", ...args()], { cwd });
      expect(code).to.equal(1);
      expect(stderr).to.contain("has no repository no/thing");
    });
  }

  it("changes nothing in a storage that it reads", async () => {
    const before = [...(await fingerprints(join(cwd, "data")))].sort();
    for (const args of [["ls"], ["ls", "library/ubuntu"], ["inspect", "library/ubuntu:latest"]]) {
      await succeeds([...args, "-c", "config.yml"], { cwd });
    }
    expect([...(await fingerprints(join(cwd, "data")))].sort()).to.deep.equal(before);
  });

  it("asks the flavor's server where it runs", async () => {
    await writeFile(join(cwd, "running.yml"), `dev: { storage: memory, http: { port: ${server.port} } }`);
    const { stdout, stderr } = await registryctl(["ls", "-c", "running.yml"], { cwd });
    expect(stderr).to.equal(`asking http://127.0.0.1:${server.port}, where flavor dev runs\n`);
    expect(stdout).to.contain("team/app");
  });

  it("follows a list from page to page", async () => {
    const { stdout: before } = await registryctl(["ls", "team/app", "--url", server.url], { cwd });
    const { digest } = await pushImage(server.client, "team/many", "t", [sampleLayer("many")]);
    const folder = join(cwd, "data/docker/registry/v2/repositories/team/many/_manifests/tags");
    for (let index = 0; index < 1100; index++) {
      await mkdir(join(folder, `t${index}/current`), { recursive: true });
      await writeFile(join(folder, `t${index}/current/link`), digest);
    }
    const { tags } = JSON.parse(await succeeds(["ls", "team/many", "--json", "--url", server.url], { cwd })) as Tags;
    expect(tags.length).to.equal(1101);
    expect(await succeeds(["ls", "team/app", "--url", server.url], { cwd })).to.equal(before);
  });

  const serve = async (answer: RequestListener) => {
    const proxy = createServer(answer).listen(0, "127.0.0.1");
    await once(proxy, "listening");
    return { proxy, url: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}` };
  };

  it("goes where the registry sends its clients for blobs, but says nobody there who asks", async () => {
    const seen: (string | undefined)[] = [];
    const pass = ({ url = "" }: IncomingMessage, response: ServerResponse): void => {
      void fetch(server.url + url).then(async (found) => {
        for (const name of ["content-type", "docker-content-digest"]) {
          response.setHeader(name, found.headers.get(name) ?? "");
        }
        response.statusCode = found.status;
        response.end(Buffer.from(await found.arrayBuffer()));
      });
    };
    const storage = await serve((request, response) => {
      seen.push(request.headers.authorization);
      pass(request, response);
    });
    const front = await serve((request, response) => {
      if (request.url?.includes("/blobs/")) response.writeHead(307, { Location: storage.url + request.url }).end();
      else pass(request, response);
    });
    try {
      const args = ["ls", "team/app", "--json", "--url", front.url, "--username", "ann", "--password-stdin"];
      const { stdout, stderr } = await registryctl(args, { cwd, input: "sesame\n" });
      expect(stdout, stderr).to.equal(await succeeds(["ls", "team/app", "--json", "--url", server.url], { cwd }));
      expect(new Set(seen)).to.deep.equal(new Set([undefined]));
    } finally {
      front.proxy.close();
      storage.proxy.close();
    }
  });

  it("says who asks", async () => {
    const seen: (string | undefined)[] = [];
    const { proxy, url } = await serve((request, response) => {
      seen.push(request.headers.authorization, request.headers["x-signature"]?.slice(0, 5) as string | undefined);
      response.statusCode = 401;
      response.end("{}");
    });
    await succeeds(["keygen", "key", "--bits", "2048"], { cwd });
    try {
      const args = ["ls", "--url", url, "--username", "ann", "--password-stdin", "--key", "key.pem"];
      const { code, stderr } = await registryctl(args, { cwd, input: "sesame\n" });
      expect(code).to.equal(1);
      expect(stderr).to.contain("401").and.contain("--username");
      expect(seen).to.deep.equal([`Basic ${Buffer.from("ann:sesame").toString("base64")}`, "algor"]);
    } finally {
      proxy.close();
    }
  });
});
