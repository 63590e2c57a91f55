import { expect } from "chai";
import { startRegistry, type RegistryServer } from "../../support/registry-server.ts";

const notCacheable = {
  "cache-control": "no-cache",
  expires: "-1",
  pragma: "no-cache",
  "content-type": "application/json",
};
const json = (value: unknown) => Buffer.from(JSON.stringify(value));
const id = (letter: string) => letter.repeat(64);
const unknownSetter =
  '{"arch": "amd64", "docker_go_version": null, "docker_version": null, "kernel": null, "last_update": null, "os": "linux"}';

/** Request, status and body (text, or a pattern); headers that must be so, or absent where undefined. */
interface Row {
  readonly what?: string;
  readonly request: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer;
  readonly status: number;
  readonly answer?: string | RegExp;
  readonly answerHeaders?: Readonly<Record<string, string | RegExp | undefined>>;
}

/** An empty registry answers these; each row starts from the state that the rows above left. */
const rows: readonly Row[] = [
  { request: "GET /", status: 200, answer: '"registryctl server (test) (v9.9.9)"', answerHeaders: notCacheable },
  {
    request: "GET /v1/_ping",
    status: 200,
    answer: "true",
    answerHeaders: {
      ...notCacheable,
      "x-docker-registry-standalone": "True",
      "x-docker-registry-version": "9.9.9",
      "x-docker-registry-config": "test",
    },
  },
  { request: "GET /_ping", status: 200, answer: "true" },
  { request: "HEAD /v1/_ping", status: 200, answer: "", answerHeaders: { "content-length": "4" } },
  { request: "GET /v1/_ping/", status: 404 },
  {
    request: "GET /_status",
    status: 503,
    answer: '{"failures": {"redis": "unconfigured"}, "host": "testhost", "services": ["redis", "storage"]}',
  },
  { request: "GET /v1/users/", status: 200, answer: '"OK"', answerHeaders: notCacheable },
  { request: "POST /v1/users/", body: json({ username: "a" }), status: 201, answer: '"User Created"' },
  { request: "POST /v1/users/", body: Buffer.from("{"), status: 400, answer: '{"error": "Error Decoding JSON"}' },
  { request: "PUT /v1/users/alice/", status: 204, answer: "" },
  { request: "GET /v1/users", status: 301, answerHeaders: { location: "/v1/users/" } },
  { request: "DELETE /v1/users/", status: 405, answerHeaders: { allow: /GET.*POST|POST.*GET/ } },
  { request: "OPTIONS /v1/users/", status: 200, answerHeaders: { allow: /POST/ } },
  { request: "GET /v1/", status: 404, answer: '{"error": "Not found"}' },
  { request: "GET /v1/images/", status: 404 },
  { request: "GET /v2x", status: 404, answer: '{"error": "Not found"}' },

  { request: "GET /v1/search?q=x", status: 200, answer: /"num_results": 0, .*"query": "x", "results": \[\]/ },
  { request: "GET /v1/search?q=x&n=0", status: 400, answer: /must be a number from 1/ },
  { request: "GET /v1/search?q=x&page=-1", status: 400 },
  { request: "GET /v1/search?q=x&n=1000", status: 200, answer: /"page_size": 100/ },
  { request: "GET /v1/search", status: 200, answerHeaders: { "access-control-allow-origin": "*" } },

  {
    what: "the index",
    request: "GET /v1/repositories/foo/bar/images",
    status: 404,
    answer: '{"error": "images not found"}',
  },
  {
    request: "PUT /v1/repositories/foo/bar/",
    body: Buffer.from("{"),
    status: 400,
    answer: '{"error": "Error Decoding JSON"}',
  },
  { request: "PUT /v1/repositories/foo/bar/", body: json({}), status: 400, answer: '{"error": "Invalid data"}' },
  {
    request: "PUT /v1/repositories/foo/bar",
    body: json([]),
    status: 301,
    answerHeaders: { location: "/v1/repositories/foo/bar/" },
  },
  {
    request: "PUT /v1/repositories/foo/bar/",
    body: Buffer.from('[{"id":"a","Tag":"v1"}]'),
    status: 200,
    answer: '""',
    answerHeaders: {
      ...notCacheable,
      "x-docker-token": /^Token signature=[A-Z0-9]{16},repository="foo\/bar",access=write$/,
      "www-authenticate": /^Token signature=[A-Z0-9]{16},repository="foo\/bar",access=write$/,
      "x-docker-endpoints": /^127\.0\.0\.1:\d+$/,
    },
  },
  {
    what: "the first list, byte for byte",
    request: "GET /v1/repositories/foo/bar/images",
    status: 200,
    answer: '[{"id":"a","Tag":"v1"}]',
    answerHeaders: { "x-docker-token": /access=read$/, "access-control-allow-methods": "GET" },
  },
  {
    request: "PUT /v1/repositories/foo/bar/images",
    body: json([
      { id: "b", Tag: "v2" },
      { id: "a", checksum: "sha256:1" },
    ]),
    status: 204,
    answer: "",
    answerHeaders: { "x-docker-token": /access=write$/ },
  },
  {
    what: "merged lists",
    request: "GET /v1/repositories/foo/bar/images",
    status: 200,
    answer: '[{"id": "b"}, {"checksum": "sha256:1", "id": "a"}]',
  },
  { request: "PUT /v1/repositories/foo/bar/images", body: json([1]), status: 400, answer: '{"error": "Invalid data"}' },
  { request: "PUT /v1/repositories/foo/bar/images", body: json([{}]), status: 400 },
  {
    request: "DELETE /v1/repositories/foo/bar/images",
    status: 204,
    answerHeaders: { "x-docker-token": /access=delete$/ },
  },
  { request: "PUT /v1/repositories/foo/bar/auth", status: 200, answer: '"OK"' },
  {
    request: "PUT /v1/repositories/alone/images",
    body: json([]),
    status: 204,
    answerHeaders: { "x-docker-token": /"library\/alone"/ },
  },
  { request: "GET /v1/repositories/library/alone/images", status: 200, answer: "[]" },

  {
    what: "images",
    request: `GET /v1/images/${id("1")}/json`,
    status: 404,
    answer: '{"error": "Image not found"}',
    answerHeaders: notCacheable,
  },
  { request: "GET /v1/images/-bad/json", status: 404, answer: '{"error": "Invalid image ID"}' },
  { request: `GET /v1/images/${id("1")}/layer`, status: 404, answer: '{"error": "Image not found"}' },
  { request: `GET /v1/images/${id("1")}/ancestry`, status: 404 },
  { request: `GET /v1/images/${id("1")}/files`, status: 404 },
  { request: `GET /v1/images/${id("1")}/diff`, status: 404 },
  { request: `GET /v1/images/${id("1")}/nothing`, status: 404, answer: '{"error": "Not found"}' },
  {
    request: `GET /v1/images/${id("1")}/json`,
    headers: { "If-Modified-Since": "garbage" },
    status: 304,
    answer: "",
    answerHeaders: {
      "cache-control": "public, max-age=31536000",
      expires: /GMT$/,
      "content-type": undefined,
      pragma: undefined,
    },
  },
  {
    request: "PUT /v1/images/-bad/json",
    body: json({ id: "-bad" }),
    status: 404,
    answer: '{"error": "Invalid image ID"}',
  },
  {
    request: `PUT /v1/images/${id("1")}/json`,
    body: Buffer.from("{"),
    status: 400,
    answer: '{"error": "Invalid JSON"}',
  },
  {
    request: `PUT /v1/images/${id("1")}/json`,
    body: Buffer.from([0x22, 0xff, 0x22]),
    status: 400,
    answer: '{"error": "Invalid JSON"}',
  },
  { request: `PUT /v1/images/${id("1")}/json`, body: json({}), status: 400, answer: '{"error": "Invalid JSON"}' },
  { request: `PUT /v1/images/${id("1")}/json`, body: json([]), status: 400, answer: '{"error": "Invalid JSON"}' },
  {
    request: `PUT /v1/images/${id("1")}/json`,
    body: json({ a: 1 }),
    status: 400,
    answer: '{"error": "Missing key `id\' in JSON"}',
  },
  {
    request: `PUT /v1/images/${id("1")}/json`,
    body: json({ id: id("2") }),
    status: 400,
    answer: '{"error": "JSON data contains invalid id"}',
  },
  {
    request: `PUT /v1/images/${id("1")}/json`,
    body: json({ id: id("1"), parent: id("9") }),
    status: 400,
    answer: '{"error": "Image depends on a non existing parent"}',
  },
  { request: `PUT /v1/images/${id("1")}/json`, body: json({ id: id("1"), parent: "../x" }), status: 400 },
  {
    request: `PUT /v1/images/${id("1")}/layer`,
    body: Buffer.from("x"),
    status: 404,
    answer: '{"error": "Image not found"}',
  },
  { request: `PUT /v1/images/${id("1")}/checksum`, status: 400, answer: '{"error": "Missing Image\'s checksum"}' },
  {
    request: `PUT /v1/images/${id("1")}/checksum`,
    headers: { "X-Docker-Checksum-Payload": "sha256:0" },
    status: 404,
    answer: '{"error": "Image not found"}',
  },

  {
    what: "a push",
    request: `PUT /v1/images/${id("1")}/json`,
    body: json({ id: id("1") }),
    status: 200,
    answer: "true",
    answerHeaders: notCacheable,
  },
  {
    request: `GET /v1/images/${id("1")}/json`,
    status: 400,
    answer: '{"error": "Image is being uploaded, retry later"}',
  },
  {
    request: `GET /v1/images/${id("1")}/json`,
    headers: { "If-Modified-Since": "x" },
    status: 400,
    answer: '{"error": "Image is being uploaded, retry later"}',
  },
  { request: `GET /v1/images/${id("1")}/layer`, status: 400 },
  {
    request: `PUT /v1/images/${id("1")}/checksum`,
    headers: { "X-Docker-Checksum-Payload": "sha256:0" },
    status: 400,
    answer: '{"error": "The image\'s layer has not been uploaded"}',
  },
  { request: `PUT /v1/images/${id("1")}/layer`, body: Buffer.alloc(0), status: 200, answer: "true" },
  {
    request: `PUT /v1/images/${id("1")}/checksum`,
    headers: { "X-Docker-Checksum-Payload": "SHA256:0" },
    status: 400,
    answer: '{"error": "Checksum mismatch"}',
  },
  { request: `GET /v1/images/${id("1")}/ancestry`, status: 400 },
  {
    request: `PUT /v1/images/${id("3")}/json`,
    body: json({ id: id("3"), parent: id("1") }),
    status: 200,
    answer: "true",
  },
  {
    request: `PUT /v1/images/${id("3")}/json`,
    body: json({ id: id("3"), parent: id("3") }),
    status: 400,
    answer: /depends on itself/,
  },

  {
    what: "tags",
    request: "GET /v1/repositories/new/repo/tags",
    status: 404,
    answer: '{"error": "Repository not found"}',
  },
  { request: "GET /v1/repositories/foo/bar/tags", status: 200, answer: "{}" },
  { request: "GET /v1/repositories/foo/bar/tags/v1", status: 404, answer: '{"error": "Tag not found"}' },
  {
    request: "PUT /v1/repositories/foo/bar/tags/v1",
    body: json(id("8")),
    status: 404,
    answer: '{"error": "Image not found"}',
  },
  { request: "PUT /v1/repositories/foo/bar/tags/v1", body: json({}), status: 400, answer: '{"error": "Invalid data"}' },
  {
    request: "PUT /v1/repositories/foo/bar/tags/v1",
    body: Buffer.from("x"),
    status: 400,
    answer: '{"error": "Invalid data"}',
  },
  { request: "PUT /v1/repositories/foo/bar/tags/v1", body: json("../../x"), status: 404 },
  {
    what: "a tag of an image in progress",
    request: "PUT /v1/repositories/foo/bar/tags/v1",
    body: json(id("1")),
    status: 200,
    answer: "true",
  },
  { request: "GET /v1/repositories/foo/bar/tags/v1", status: 200, answer: `"${id("1")}"`, answerHeaders: notCacheable },
  {
    request: "GET /v1/repositories/foo/bar/tags/v1/json",
    status: 200,
    answer:
      /^\{"arch": "amd64", "docker_go_version": "go1.3.3", "docker_version": "1.5.0", "kernel": "3.13.0-24-generic", "last_update": \d+, "os": "linux"\}$/,
  },
  { request: "GET /v1/repositories/foo/bar/tags/nope/json", status: 200, answer: unknownSetter },
  { request: "GET /v1/repositories/foo/bar/json", status: 200, answer: unknownSetter },
  { request: "PUT /v1/repositories/foo/bar/tags/latest", body: json(id("1")), status: 200 },
  { request: "GET /v1/repositories/foo/bar/json", status: 200, answer: /"docker_version": "1.5.0"/ },
  { request: "PUT /v1/repositories/foo/bar/tags/a+1%20x", body: json(id("1")), status: 200 },
  {
    request: "GET /v1/repositories/foo/bar/tags",
    status: 200,
    answer: `{"a+1 x": "${id("1")}", "latest": "${id("1")}", "v1": "${id("1")}"}`,
  },
  { request: "DELETE /v1/repositories/foo/bar/tags/a+1%20x", status: 200, answer: "true" },
  { request: "DELETE /v1/repositories/foo/bar/tags/nope", status: 404, answer: '{"error": "Tag not found: nope"}' },
  { request: "DELETE /v1/repositories/foo/bar/tags/latest", status: 200, answer: "true" },
  { request: "GET /v1/repositories/foo/bar/json", status: 200, answer: unknownSetter },
  {
    request: "PUT /v1/repositories/foo/bar/tags/a%2Fb",
    body: json(id("1")),
    status: 400,
    answer: '{"error": "Invalid tag name"}',
  },
  { request: "PUT /v1/repositories/foo/bar/tags/%C3%A9", body: json(id("1")), status: 400 },
  { request: "PUT /v1/repositories/foo/bar/tags/%zz", body: json(id("1")), status: 400, answer: /percent-encoded/ },
  {
    request: "PUT /v1/repositories/%C3%A9/x/tags/v1",
    body: json(id("1")),
    status: 400,
    answer: '{"error": "Invalid repository name"}',
  },

  { what: "library", request: "PUT /v1/repositories/alone/tags/v1", body: json(id("1")), status: 200 },
  { request: "GET /v1/repositories/library/alone/tags", status: 200, answer: `{"v1": "${id("1")}"}` },

  {
    what: "properties",
    request: "GET /v1/repositories/foo/bar/properties",
    status: 200,
    answer: '{"access": "public"}',
  },
  {
    request: "PUT /v1/repositories/foo/bar/properties",
    body: json({ access: "private" }),
    status: 200,
    answer: "true",
  },
  { request: "GET /v1/repositories/foo/bar/properties", status: 200, answer: '{"access": "private"}' },
  { request: "PUT /v1/repositories/foo/bar/properties", body: json({ access: "other" }), status: 200, answer: "true" },
  { request: "GET /v1/repositories/foo/bar/properties", status: 200, answer: '{"access": "private"}' },
  { request: "PUT /v1/repositories/foo/bar/properties", body: json({ access: "public" }), status: 200 },
  { request: "GET /v1/repositories/foo/bar/properties", status: 200, answer: '{"access": "public"}' },
  {
    request: "PUT /v1/repositories/foo/bar/properties",
    body: json({}),
    status: 400,
    answer: '{"error": "Invalid data"}',
  },
  { request: "PUT /v1/repositories/foo/bar/properties", body: json([]), status: 400 },
  { request: "GET /v1/repositories/never/seen/properties", status: 200, answer: '{"access": "public"}' },

  { what: "the end of a repository", request: "DELETE /v1/repositories/foo/bar", status: 301 },
  { request: "DELETE /v1/repositories/foo/bar/", status: 200, answer: "true" },
  { request: "DELETE /v1/repositories/foo/bar/", status: 404, answer: '{"error": "Repository not found"}' },
  { request: "GET /v1/repositories/foo/bar/tags", status: 404 },
  { request: "DELETE /v1/repositories/alone/tags", status: 200, answer: "true" },
  { request: "POST /v1/repositories/foo/bar/tags", status: 405, answer: /not allowed/ },
];

describe("V1 requests", () => {
  let server: RegistryServer;
  before(async () => {
    server = await startRegistry();
  });
  after(async () => {
    await server.close();
  });

  for (const row of rows) {
    it(`${row.what ? `${row.what}: ` : ""}${row.request.slice(0, 90)} answers ${row.status}`, async () => {
      const [method = "", path = ""] = row.request.split(" ");
      const answer = await server.client.send(method, path, {
        ...(row.headers && { headers: row.headers }),
        ...(row.body && { body: row.body }),
      });
      const body = answer.body.toString();
      expect(answer.status, body).to.equal(row.status);
      if (row.answer instanceof RegExp) expect(body).to.match(row.answer);
      else if (row.answer !== undefined) expect(body).to.equal(row.answer);
      for (const [name, value] of Object.entries(row.answerHeaders ?? {})) {
        const sent = answer.headers[name];
        if (value instanceof RegExp) expect(sent, name).to.match(value);
        else expect(sent, name).to.equal(value);
      }
      expect(answer.headers["x-docker-registry-version"]).to.equal("9.9.9");
      expect(answer.headers["set-cookie"]).to.equal(undefined);
    });
  }
});
