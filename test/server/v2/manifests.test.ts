import { expect } from "chai";
import {
  digestOf,
  imageManifest,
  imageType,
  indexType,
  pushBlob,
  pushManifest,
  type PushedManifest,
} from "../../support/oci-image.ts";
import { startRegistry, type RegistryServer } from "../../support/registry-server.ts";

const json = (value: unknown) => Buffer.from(JSON.stringify(value));
const unknownDigest = `sha256:${"0".repeat(64)}`;

describe("V2 manifests", () => {
  let server: RegistryServer;
  before(async () => {
    server = await startRegistry();
  });
  after(async () => {
    await server.close();
  });
  const send = async (method: string, path: string, headers = {}, body?: Buffer) =>
    await server.client.send(method, path, { headers, ...(body && { body }) });
  const errorOf = (body: Buffer) =>
    (JSON.parse(body.toString()) as { errors: { code: string; message: string; detail?: string }[] }).errors[0]!;

  it("say that this is V2, but not to docker before 1.10 (end-1)", async () => {
    const modern = await server.connect({ userAgent: "docker/20.10.24" }).expect([200], "GET", "/v2/");
    expect(modern.headers["docker-distribution-api-version"]).to.equal("registry/2.0");
    for (const userAgent of ["docker/1.9.1 go/go1.4.2", "docker/1.5.0", "docker/0.9.1", "Go 1.1 package http"]) {
      const old = await server.connect({ userAgent }).expect([200], "GET", "/v2/");
      expect(old.headers["docker-distribution-api-version"], userAgent).to.equal(undefined);
    }
    for (const userAgent of ["docker/1.10.3", "docker/1.13.1", "containers/5.23", "Go-http-client/1.1"]) {
      const answer = await server.connect({ userAgent }).expect([200], "GET", "/v2/");
      expect(answer.headers["docker-distribution-api-version"], userAgent).to.equal("registry/2.0");
    }
  });

  it("come back byte for byte, by tag and by digest (end-3, end-7a)", async () => {
    const manifest = await imageManifest(server.client, "some/image", "one");
    const pushed = await pushManifest(server.client, "some/image", "v1", manifest);
    for (const reference of ["v1", pushed.digest]) {
      const path = `/v2/some/image/manifests/${reference}`;
      const got = await server.client.expect([200], "GET", path);
      expect(got.body.equals(pushed.bytes)).to.equal(true);
      expect(got.headers["content-type"]).to.equal(imageType);
      expect(got.headers["docker-content-digest"]).to.equal(pushed.digest);
      expect(got.headers["etag"]).to.equal(`"${pushed.digest}"`);
      const head = await server.client.expect([200], "HEAD", path);
      expect(head.headers["content-length"]).to.equal(String(pushed.bytes.length));
      expect(head.body).to.have.length(0);
      const same = await send("GET", path, { "If-None-Match": `"${pushed.digest}"` });
      expect([same.status, same.body.length]).to.deep.equal([304, 0]);
    }
  });

  it("are located, with their digest, relative to the registry (end-7a)", async () => {
    const manifest = await imageManifest(server.client, "some/image", "two");
    const put = await send("PUT", "/v2/some/image/manifests/v2", { "Content-Type": imageType }, json(manifest));
    const digest = digestOf(json(manifest));
    expect([put.status, put.headers.location]).to.deep.equal([201, `/v2/some/image/manifests/${digest}`]);
    expect(put.headers["docker-content-digest"]).to.equal(digest);
  });

  for (const [what, body, type, code] of [
    ["no JSON", Buffer.from("{"), imageType, "MANIFEST_INVALID"],
    ["a list", json([]), imageType, "MANIFEST_INVALID"],
    ["layers that are none", json({ schemaVersion: 2, layers: {} }), imageType, "MANIFEST_INVALID"],
    [
      "a malformed digest",
      json({ schemaVersion: 2, layers: [{ digest: "sha256:../x" }] }),
      imageType,
      "MANIFEST_INVALID",
    ],
    ["two media types", json({ schemaVersion: 2, mediaType: indexType, manifests: [] }), imageType, "MANIFEST_INVALID"],
    [
      "schema 1",
      json({ schemaVersion: 1 }),
      "application/vnd.docker.distribution.manifest.v1+json",
      "MANIFEST_INVALID",
    ],
    [
      "an unknown type that its bytes don't name",
      json({ schemaVersion: 2, data: 1 }),
      "application/vnd.example+json",
      "MANIFEST_INVALID",
    ],
    ...["text/html\r\nX-Other: 1", "application/\u4e2d", "  ", "application/", "a/b; c=d", `a/${"b".repeat(128)}`].map(
      (mediaType) =>
        [
          `${JSON.stringify(mediaType.slice(0, 30))} as its media type`,
          json({ schemaVersion: 2, mediaType }),
          "",
          "MANIFEST_INVALID",
        ] as const,
    ),
    ["no manifests, sent as an index,", json({ schemaVersion: 2 }), indexType, "MANIFEST_INVALID"],
    ["no schema", json({}), imageType, "MANIFEST_INVALID"],
    [
      "a byte order mark, which clients can't read,",
      Buffer.from(`\ufeff${JSON.stringify({ schemaVersion: 2, manifests: [] })}`),
      indexType,
      "MANIFEST_INVALID",
    ],
    [
      "an unknown blob",
      json({ schemaVersion: 2, layers: [{ digest: unknownDigest }] }),
      imageType,
      "MANIFEST_BLOB_UNKNOWN",
    ],
    [
      "an unknown child",
      json({ schemaVersion: 2, manifests: [{ digest: unknownDigest }] }),
      indexType,
      "MANIFEST_BLOB_UNKNOWN",
    ],
  ] as const) {
    it(`with ${what} are refused (end-7a)`, async () => {
      const put = await send("PUT", "/v2/some/image/manifests/bad", { "Content-Type": type }, body);
      expect([put.status, errorOf(put.body).code]).to.deep.equal([400, code]);
      expect((await send("GET", "/v2/some/image/manifests/bad")).status).to.equal(404);
    });
  }

  it("are refused with all that they lack, up to ten", async () => {
    const lacking = Array.from({ length: 12 }, (_, index) => digestOf(`lacking ${index}`));
    for (const [count, end] of [
      [3, lacking[2]],
      [12, "and 2 more"],
    ] as const) {
      const layers = lacking.slice(0, count).map((digest) => ({ digest }));
      const put = await send(
        "PUT",
        "/v2/some/image/manifests/bad",
        { "Content-Type": imageType },
        json({ schemaVersion: 2, layers }),
      );
      const named = lacking.slice(0, Math.min(count, 10)).join(", ");
      expect(errorOf(put.body).detail)
        .to.contain(named)
        .and.match(new RegExp(`${end}$`));
    }
  });

  it("refuse schema 1 with what to do", async () => {
    const put = await send("PUT", "/v2/some/image/manifests/bad", {}, json({ schemaVersion: 1 }));
    expect(errorOf(put.body).detail).to.contain("skopeo");
  });

  it("are refused under another digest than theirs (end-7a)", async () => {
    const manifest = json({ schemaVersion: 2, mediaType: indexType, manifests: [] });
    const put = await send("PUT", `/v2/some/image/manifests/${unknownDigest}`, { "Content-Type": indexType }, manifest);
    expect([put.status, errorOf(put.body).code]).to.deep.equal([400, "DIGEST_INVALID"]);
    expect(errorOf(put.body).message)
      .to.contain(`that arrived is ${digestOf(manifest)}`)
      .and.not.contain("malformed");
  });

  it("of more than 4 MiB are refused, of 4 MiB taken", async () => {
    const padded = (size: number) => {
      const bytes = json({ schemaVersion: 2, mediaType: indexType, manifests: [], annotations: { pad: "" } });
      return Buffer.from(bytes.toString().replace('"pad":""', `"pad":"${"x".repeat(size - bytes.length)}"`));
    };
    const path = "/v2/some/image/manifests/large";
    const limit = 4 * 1024 * 1024;
    expect((await send("PUT", path, { "Content-Type": indexType }, padded(limit))).status).to.equal(201);
    expect((await send("PUT", path, { "Content-Type": indexType }, padded(limit + 1))).status).to.equal(413);
  });

  it("keep what the registry does not know, and their type where they name none", async () => {
    const manifest = json({ schemaVersion: 2, manifests: [], "org.example": { deep: [1, 2.5, "é"] } });
    expect((await send("PUT", "/v2/odd/one/manifests/a", { "Content-Type": indexType }, manifest)).status).to.equal(
      201,
    );
    const got = await send("GET", "/v2/odd/one/manifests/a");
    expect(got.body.equals(manifest)).to.equal(true);
    expect(got.headers["content-type"]).to.equal(indexType);
  });

  it("of a type that the registry does not know are given out as what they say", async () => {
    for (const type of ["application/vnd.example.artifact+json", "application/vnd.Example.Artifact+JSON", "x/y"]) {
      const put = await send("PUT", "/v2/odd/one/manifests/b", { "Content-Type": type }, json({ mediaType: type }));
      expect(put.status).to.equal(201);
      expect((await send("GET", "/v2/odd/one/manifests/b")).headers["content-type"]).to.equal(type);
    }
  });

  it("may say null for what they don't have", async () => {
    const manifest = json({ schemaVersion: 2, config: null, layers: null, subject: null });
    const put = await send("PUT", "/v2/odd/one/manifests/c", { "Content-Type": imageType }, manifest);
    expect([put.status, put.headers["oci-subject"]]).to.deep.equal([201, undefined]);
  });

  it("need no layers that may not be distributed (end-7a)", async () => {
    const layer = {
      digest: unknownDigest,
      size: 1,
      mediaType: "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    };
    const withUrls = { digest: unknownDigest, size: 1, mediaType: "x/y", urls: ["https://example.com/layer"] };
    const manifest = json({ schemaVersion: 2, mediaType: imageType, layers: [layer, withUrls] });
    expect((await send("PUT", "/v2/foreign/image/manifests/a", {}, manifest)).status).to.equal(201);
  });

  it("put by digest set the tags that the query names (1.2, end-7b)", async () => {
    const manifest = json({ schemaVersion: 2, mediaType: indexType, manifests: [], annotations: { a: "tags" } });
    const digest = digestOf(manifest);
    const tags = Array.from({ length: 12 }, (_, index) => `t${index}`);
    // One that is named twice is one.
    const query = [...tags, "t3"].map((tag) => `tag=${tag}`).join("&");
    const put = await send(
      "PUT",
      `/v2/many/tags/manifests/${digest}?${query}`,
      { "Content-Type": indexType },
      manifest,
    );
    expect(put.status).to.equal(201);
    expect(put.headers["oci-tag"]).to.equal(tags.join(", "));
    for (const tag of tags) {
      expect((await send("HEAD", `/v2/many/tags/manifests/${tag}`)).headers["docker-content-digest"]).to.equal(digest);
    }
  });

  it("in sha512 are found by that digest and by their tag", async () => {
    const manifest = json({ schemaVersion: 2, mediaType: indexType, manifests: [], annotations: { a: "512" } });
    const digest = digestOf(manifest, "sha512");
    const put = await send("PUT", `/v2/long/digest/manifests/${digest}?tag=a`, { "Content-Type": indexType }, manifest);
    expect([put.status, put.headers["docker-content-digest"]]).to.deep.equal([201, digest]);
    for (const reference of [digest, "a"]) {
      const got = await send("GET", `/v2/long/digest/manifests/${reference}`);
      expect([got.status, got.headers["docker-content-digest"]]).to.deep.equal([200, digest]);
    }
  });

  for (const [path, status, code] of [
    ["/v2/some/image/manifests/nope", 404, "MANIFEST_UNKNOWN"],
    [`/v2/some/image/manifests/${unknownDigest}`, 404, "MANIFEST_UNKNOWN"],
    ["/v2/some/image/manifests/sha256:abc", 400, "DIGEST_INVALID"],
    ["/v2/some/image/manifests/-bad", 400, "TAG_INVALID"],
    ["/v2/SOME/image/manifests/v1", 400, "NAME_INVALID"],
    ["/v2/some/image/referrers/abc", 400, "DIGEST_INVALID"],
    ["/v2/nothing/here/tags/list", 404, "NAME_UNKNOWN"],
    ["/v2/some/image/tags/list?n=x", 400, "PAGINATION_INVALID"],
    ["/v2/some/image/other", 404, "NAME_UNKNOWN"],
  ] as const) {
    it(`GET ${path.slice(0, 50)} answers ${status} ${code}`, async () => {
      const got = await send("GET", path);
      expect([got.status, errorOf(got.body).code]).to.deep.equal([status, code]);
    });
  }

  it("belong to the repository that they were pushed to alone", async () => {
    const { digest } = await pushManifest(
      server.client,
      "mine/one",
      "a",
      { schemaVersion: 2, manifests: [] },
      indexType,
    );
    expect((await send("GET", `/v2/yours/one/manifests/${digest}`)).status).to.equal(404);
  });

  describe("that are deleted (end-9)", () => {
    let pushed: PushedManifest;
    beforeEach(async () => {
      const manifest = { schemaVersion: 2, manifests: [], annotations: { deleted: "soon" } };
      pushed = await pushManifest(server.client, "gone/soon", "a", manifest, indexType);
      await pushManifest(server.client, "gone/soon", "b", manifest, indexType);
    });

    it("by tag lose only the tag", async () => {
      expect((await send("DELETE", "/v2/gone/soon/manifests/a")).status).to.equal(202);
      expect((await send("GET", "/v2/gone/soon/manifests/a")).status).to.equal(404);
      expect((await send("GET", "/v2/gone/soon/manifests/b")).status).to.equal(200);
      expect((await send("DELETE", "/v2/gone/soon/manifests/a")).status).to.equal(404);
    });

    it("by digest lose every tag on them, at once", async () => {
      expect((await send("DELETE", `/v2/gone/soon/manifests/${pushed.digest}`)).status).to.equal(202);
      for (const reference of ["a", "b", pushed.digest]) {
        expect((await send("GET", `/v2/gone/soon/manifests/${reference}`)).status).to.equal(404);
      }
      expect((await send("DELETE", `/v2/gone/soon/manifests/${pushed.digest}`)).status).to.equal(404);
    });
  });

  describe("with a subject (end-12)", () => {
    const subject = digestOf("a manifest that comes later");
    const artifact = (artifactType: string) => ({
      schemaVersion: 2,
      mediaType: imageType,
      artifactType,
      subject: { mediaType: imageType, digest: subject, size: 3 },
      layers: [],
      annotations: { kind: artifactType },
    });

    it("are told of in the answer to their push", async () => {
      const put = await send("PUT", "/v2/with/subject/manifests/a", {}, json(artifact("application/x.one")));
      expect([put.status, put.headers["oci-subject"]]).to.deep.equal([201, subject]);
      await pushManifest(server.client, "with/subject", "b", artifact("application/x.two"));
    });

    it("are its referrers, with type, annotations and a filter", async () => {
      const all = await send("GET", `/v2/with/subject/referrers/${subject}`);
      expect(all.headers["content-type"]).to.equal(indexType);
      const index = JSON.parse(all.body.toString()) as { mediaType: string; manifests: { artifactType: string }[] };
      expect(index.mediaType).to.equal(indexType);
      expect(index.manifests).to.have.length(2);
      const one = await send("GET", `/v2/with/subject/referrers/${subject}?artifactType=application/x.one`);
      expect(one.headers["oci-filters-applied"]).to.equal("artifactType");
      const bytes = json(artifact("application/x.one"));
      expect((JSON.parse(one.body.toString()) as { manifests: unknown[] }).manifests).to.deep.equal([
        {
          mediaType: imageType,
          digest: digestOf(bytes),
          size: bytes.length,
          artifactType: "application/x.one",
          annotations: { kind: "application/x.one" },
        },
      ]);
    });

    it("come in pages", async () => {
      const first = await send("GET", `/v2/with/subject/referrers/${subject}?n=1`);
      const next = /^<([^>]+)>; rel="next"$/.exec(String(first.headers["link"]))?.[1];
      const second = await send("GET", next ?? "");
      const digests = [first, second].map(
        ({ body }) => (JSON.parse(body.toString()) as { manifests: { digest: string }[] }).manifests[0]!.digest,
      );
      expect(new Set(digests).size).to.equal(2);
      expect(second.headers["link"]).to.equal(undefined);
    });

    it("come in pages that are no larger than a manifest may be, whatever their annotations", async () => {
      const about = digestOf("a subject of many words");
      const pushed: string[] = [];
      for (const text of ["a", "b", "c", "d", "e"]) {
        const described = { ...artifact("application/x.long"), annotations: { text: text.repeat(1_800_000) } };
        const manifest = { ...described, subject: { mediaType: imageType, digest: about, size: 1 } };
        pushed.push((await pushManifest(server.client, "with/words", text, manifest)).digest);
      }
      const seen: string[] = [];
      const lengths: number[] = [];
      for (let path = `/v2/with/words/referrers/${about}?artifactType=application/x.long`; path !== "";) {
        const { body, headers } = await server.client.expect([200], "GET", path);
        expect(body.length).to.be.at.most(4 * 1024 * 1024);
        const { manifests } = JSON.parse(body.toString()) as { manifests: { digest: string }[] };
        seen.push(...manifests.map(({ digest }) => digest));
        lengths.push(manifests.length);
        path = /^<([^>]+)>; rel="next"$/.exec(String(headers["link"]))?.[1] ?? "";
      }
      expect(seen).to.deep.equal(pushed.sort());
      expect(lengths).to.deep.equal([2, 2, 1]);
    });

    it("are none for a digest that nothing refers to", async () => {
      const none = await server.client.expect([200], "GET", `/v2/with/subject/referrers/${unknownDigest}`);
      expect((JSON.parse(none.body.toString()) as { manifests: unknown[] }).manifests).to.deep.equal([]);
    });

    it("are its referrers too where an older client listed them under the fallback tag (referrers tag schema)", async () => {
      const other = digestOf("another subject");
      const described = { ...artifact("application/x.old"), subject: { mediaType: imageType, digest: other, size: 1 } };
      const { digest, bytes } = await pushManifest(server.client, "with/subject", "old", described);
      const stranger = await pushManifest(server.client, "with/subject", "stranger", artifact("application/x.two"));
      const entries = [digest, stranger.digest].map((listed) => ({
        mediaType: imageType,
        digest: listed,
        size: bytes.length,
      }));
      const index = { schemaVersion: 2, mediaType: indexType, manifests: entries };
      await pushManifest(server.client, "with/subject", other.replace(":", "-"), index, indexType);
      const answer = await send("GET", `/v2/with/subject/referrers/${other}`);
      const listed = (JSON.parse(answer.body.toString()) as { manifests: { digest: string }[] }).manifests;
      expect(listed.map((entry) => entry.digest)).to.deep.equal([digest]);
    });

    it("are no referrers any more once they are deleted", async () => {
      await server.client.expect(
        [202],
        "DELETE",
        `/v2/with/subject/manifests/${digestOf(json(artifact("application/x.one")))}`,
      );
      const left = await send("GET", `/v2/with/subject/referrers/${subject}`);
      expect((JSON.parse(left.body.toString()) as { manifests: unknown[] }).manifests).to.have.length(1);
    });
  });

  it("may be an index without its manifests where sparse indexes are allowed", async () => {
    const sparse = await startRegistry({ allow_sparse_indexes: true });
    try {
      const index = { schemaVersion: 2, mediaType: indexType, manifests: [{ digest: unknownDigest, size: 1 }] };
      await pushManifest(sparse.client, "some/index", "a", index, indexType);
    } finally {
      await sparse.close();
    }
  });

  it("may be artifacts with the empty descriptor, once that blob is there", async () => {
    const empty = { mediaType: "application/vnd.oci.empty.v1+json", digest: digestOf("{}"), size: 2 };
    const manifest = {
      schemaVersion: 2,
      mediaType: imageType,
      artifactType: "application/x",
      config: empty,
      layers: [empty],
    };
    expect((await send("PUT", "/v2/an/artifact/manifests/a", {}, json(manifest))).status).to.equal(400);
    await pushBlob(server.client, "an/artifact", Buffer.from("{}"));
    await pushManifest(server.client, "an/artifact", "a", manifest);
  });
});
