import { Readable } from "node:stream";
import { expect } from "chai";
import { command } from "../../support/command.ts";
import { needs } from "../../support/needs.ts";
import { digestOf } from "../../support/oci-image.ts";
import { removeFolder, temporaryFolder } from "../../support/program.ts";
import { startRegistry, type RegistryServer } from "../../support/registry-server.ts";
import { paxHeader, tarOf } from "../../support/tar-bytes.ts";
import { plainHttp, type FrontedRegistry } from "../../support/fronted-registry.ts";
import type { V1Client, V1Image } from "../../support/v1-client.ts";

/** Layers whose every byte is the same on each machine, whatever packers it has. */
const layers = [
  // gzip: by-gzip
  "H4sIAAAAAAACA0uq1E2vyixgoCUwMDAwMDMxAdMGBgbotIGBkTGDoZGRmZGJuZEpSNzQwNTEmEHBgIEOoLS4JLGIwcCAGp5E9twQAcn5eSWpeSUK+WkKSZCkwMUwCkbBKBgFo2D4AwBi1YloAAgAAA==",
  // xz: by-xz
  "/Td6WFoAAATm1rRGAgAhARwAAAAQz1jM4Af/AFhdADEeQaYaR5XX6e6h6IOGi6eEaJHLIRl/SS1Jv766EJ+OJNhi3HveRZ8uwPpO7/ZGqruGnqUsngx7CB1p9haVan2DVtcXFRat0UYJ4ZHCTcLHquLSN8DQ2QAA1DNplu0h/GUAAXSAEAAAAAd8GbKxxGf7AgAAAAAEWVo=",
  // bzip2: by-bzip2
  "QlpoOTFBWSZTWTvKX7YAADnbkcoQQAJ3hABAeyHeMAQAAAIACCAAdQ1T0EaBoAA9JvVBkSek0GgaAAD4I74h7AEUbtUgnVGBCEQXPnsNFCWtUAydJAL7Ht9Gj82a1YI1BBIOSiJjsC6RCspWQUzKTIFxP4u5IpwoSB3lL9sA",
].map((text) => Buffer.from(text, "base64"));

const plain = tarOf(
  { name: "./", type: "5", mode: 0o755 },
  paxHeader({ path: "./grüße", "SCHILY.xattr.user.note": "é" }),
  { name: "short", content: Buffer.from("plain\n") },
);

/** The steps of an image of 2014, as `docker history` would show them, base first. */
const steps: readonly { readonly layer: Buffer; readonly json: Readonly<Record<string, unknown>> }[] = [
  {
    layer: layers[0]!,
    json: described("2013-03-23T22:24:18.818426-07:00", ["/bin/sh", "-c", "#(nop) ADD file:1 in /"], {
      author: "Jérôme",
    }),
  },
  {
    layer: Buffer.alloc(1024),
    json: described("2014-05-06T07:08:09.123456789Z", ["/bin/sh", "-c", "#(nop) ENV A=ü b"]),
  },
  {
    layer: layers[1]!,
    json: described("2014-05-06T07:09:09Z", ["/bin/sh", "-c", "make xz"], { comment: "packed by xz" }),
  },
  { layer: layers[2]!, json: described("2014-05-06T07:10:09Z", ["/bin/sh", "-c", "make bzip2 && true"]) },
  { layer: plain, json: described("2014-05-06T07:11:09.5Z", ["/bin/sh", "-c", "make <plain>"]) },
  {
    layer: Buffer.alloc(1024),
    json: {
      ...described("2014-05-06T07:12:09.000000001Z", ["/bin/sh", "-c", "#(nop) CMD [serve]"], {
        author: "李 <li@example.org>",
      }),
      config: {
        Hostname: "4f0a1b2c3d4e",
        Memory: 0,
        Env: ["PATH=/bin", "A=ü b"],
        Entrypoint: ["/bin/tool", "--flag"],
        Cmd: ["serve"],
        ExposedPorts: { "80/tcp": {} },
        Volumes: { "/data": {} },
        WorkingDir: "/srv",
        User: "www",
      },
    },
  },
];

/** The digest of the manifest of all this; another one would be another image for everybody who knows the old. */
const golden = "sha256:23d243e1bae4f546d46e7727ceb38a96f387eb41b327266105fc1f751578a1c7";

function described(created: string, command: readonly string[], more: object = {}): Readonly<Record<string, unknown>> {
  return {
    created,
    container_config: { Cmd: command, Env: ["PATH=/bin"] },
    config: { Env: ["PATH=/bin"] },
    docker_version: "0.11.1",
    architecture: "amd64",
    os: "linux",
    ...more,
  };
}

function chain(): readonly V1Image[] {
  const images: V1Image[] = [];
  for (const [index, { layer, json }] of steps.entries()) {
    const id = digestOf(`image ${index}`).slice("sha256:".length);
    const parent = images.at(-1)?.id;
    const document = { id, ...(parent !== undefined && { parent }), ...json, Size: layer.length };
    images.push({ id, json: Buffer.from(JSON.stringify(document)), layer: () => Readable.from([layer]) });
  }
  return images;
}

/** Ways to push the same image: what is stored and asked for first differs. */
const orders: readonly (readonly [string, (client: V1Client) => Promise<void>])[] = [
  [
    "as docker does",
    async (client) => {
      await client.push("foo/bar", "v1", chain());
    },
  ],
  [
    "half of it before the rest, under other tags",
    async (client) => {
      await client.push("foo/half", "latest", chain().slice(0, 3));
      await client.expect([200], "GET", "/v2/foo/half/manifests/latest");
      await client.push("foo/bar", "v1", chain());
    },
  ],
  ["its tag and all documents before the layers, these from the top", pushBackwards],
];

async function pushBackwards(client: V1Client): Promise<void> {
  const images = chain();
  for (const { id, json } of images) await client.expect([200], "PUT", `/v1/images/${id}/json`, { body: json });
  await client.expect([200], "PUT", "/v1/repositories/foo/bar/tags/v1", {
    body: Buffer.from(JSON.stringify(images.at(-1)!.id)),
  });
  for (const { id, json, layer } of [...images].reverse()) {
    const path = `/v1/images/${id}`;
    await client.expect([200], "PUT", `${path}/layer`, { body: layer() });
    const chunks: Uint8Array[] = [json, Buffer.from("\n")];
    for await (const chunk of layer()) chunks.push(chunk);
    await client.expect([200], "PUT", `${path}/checksum`, {
      headers: { "X-Docker-Checksum-Payload": digestOf(Buffer.concat(chunks)) },
      body: Buffer.alloc(0),
    });
  }
}

describe("the digest of an image that was pushed through V1", function () {
  this.timeout(180_000);
  for (const storage of ["memory", "local"] as const) {
    for (const [order, push] of orders) {
      it(`is the same on every machine, pushed ${order}, in ${storage} storage`, async () => {
        const folder = await temporaryFolder();
        const server: RegistryServer = await startRegistry(
          storage === "local" ? { storage, storage_path: folder } : {},
        );
        try {
          await push(server.client);
          const { headers, body } = await server.client.expect([200], "GET", "/v2/foo/bar/manifests/v1");
          expect([headers["docker-content-digest"], digestOf(body)]).to.deep.equal([golden, golden]);
        } finally {
          await server.close();
          await removeFolder(folder);
        }
      });
    }
  }
});

describe("skopeo's view of an image that was pushed through V1", function () {
  this.timeout(180_000);
  let registry: FrontedRegistry;
  let folder: string;
  before(async function () {
    needs(this, "skopeo");
    folder = await temporaryFolder();
    registry = await plainHttp.start();
    await registry.client.push("foo/bar", "v1", chain());
  });
  after(async () => {
    await registry.stop();
    await removeFolder(folder);
  });
  const inspect = async (...options: string[]) =>
    JSON.parse(
      await command(
        "skopeo",
        ["inspect", "--tls-verify=false", ...options, `docker://${registry.address}/foo/bar:v1`],
        {
          env: { PATH: process.env["PATH"], HOME: folder },
        },
      ),
    ) as Record<string, unknown>;
  const top = steps.at(-1)!.json;

  it("has what its JSON says of it", async () => {
    const { Created, Env, DockerVersion, Architecture, Os, Digest, Layers } = await inspect();
    expect({ Created, Env, DockerVersion, Architecture, Os, Digest }).to.deep.equal({
      Created: "2014-05-06T07:12:09.000000001Z",
      Env: ["PATH=/bin", "A=ü b"],
      DockerVersion: "0.11.1",
      Architecture: "amd64",
      Os: "linux",
      Digest: golden,
    });
    expect(Layers).to.have.lengthOf(4);
  });

  it("has the configuration and the history that the JSON of its images have", async () => {
    const { created, author, architecture, os, config, history, rootfs } = await inspect("--config");
    expect({ created, author, architecture, os }).to.deep.equal({
      created: top["created"],
      author: "李 <li@example.org>",
      architecture: "amd64",
      os: "linux",
    });
    const { Env, Entrypoint, Cmd, ExposedPorts, Volumes, WorkingDir, User } = top["config"] as Record<string, unknown>;
    expect(config).to.deep.equal({ Env, Entrypoint, Cmd, ExposedPorts, Volumes, WorkingDir, User });
    expect(history).to.deep.equal(
      steps.map(({ layer, json }) => ({
        created: json["created"],
        created_by: (json["container_config"] as { Cmd: string[] }).Cmd.join(" "),
        ...(json["author"] !== undefined && { author: json["author"] }),
        ...(json["comment"] !== undefined && { comment: json["comment"] }),
        ...(layer.length === 1024 && { empty_layer: true }),
      })),
    );
    expect((rootfs as { diff_ids: unknown[] }).diff_ids).to.have.lengthOf(4);
  });
});
