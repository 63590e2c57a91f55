import type Router from "@koa/router";
import { generateKeyPairSync } from "node:crypto";
import { expect } from "chai";
import { v1Router } from "../../../src/server/v1/index.ts";
import { v2Router } from "../../../src/server/v2/index.ts";
import type { V1Parts } from "../../../src/server/v1/parts.ts";
import type { V2Parts } from "../../../src/server/v2/parts.ts";
import { basic, guardedRegistry, type GuardedRegistry, type TokenChanges } from "../../support/guarded-registry.ts";
import { needs } from "../../support/needs.ts";
import { digestOf, imageManifest, pushManifest } from "../../support/oci-image.ts";
import { smallChain } from "../../support/v1-images.ts";
import type { Answer, V1Client, V1Image } from "../../support/v1-client.ts";

type Action = "pull" | "push" | "delete";
/** What has to be allowed: something of a repository or an image, a list, being known, or nothing. */
type Need = Action | "list" | "login" | "open";

/** A request that changes nothing that others look at, and what it is answered by whoever may send it. */
interface Row {
  readonly route: string;
  readonly need: Need;
  readonly status: number;
  readonly path: (place: Place) => string;
  readonly body?: string;
}

interface Place {
  readonly repository: string;
  readonly image: string;
  readonly blob: string;
}

const missing = digestOf("nothing has this");
const v1 = "/v1/repositories/*repo";
const repository = (rest: string) => (place: Place) => `/v1/repositories/${place.repository}${rest}`;
const image =
  (rest: string, door = "images") =>
  (place: Place) =>
    `/v1/${door}/${place.image}/${rest}`;
const v2 = (rest: string) => (place: Place) => `/v2/${place.repository}${rest}`;
const here = (path: string) => () => path;
const row = (route: string, need: Need, status: number, path: Row["path"], body?: string): Row => {
  return { route, need, status, path, ...(body !== undefined && { body }) };
};

/** Every route; the tests fail for one that has no row. */
const rows: readonly Row[] = [
  row("GET /v2/", "login", 200, here("/v2/")),
  row("GET /v2", "login", 200, here("/v2")),
  row("GET /v2/_catalog", "list", 200, here("/v2/_catalog")),
  row("GET /v2/*name/tags/list", "pull", 200, v2("/tags/list")),
  row("GET /v2/*name/manifests/:reference", "pull", 200, v2("/manifests/v1")),
  row("PUT /v2/*name/manifests/:reference", "push", 400, v2("/manifests/new"), "[]"),
  row("DELETE /v2/*name/manifests/:reference", "delete", 404, v2("/manifests/absent")),
  row("GET /v2/*name/referrers/:digest", "pull", 200, v2(`/referrers/${missing}`)),
  row("GET /v2/*name/blobs/:digest", "pull", 200, (place) => `/v2/${place.repository}/blobs/${place.blob}`),
  row("DELETE /v2/*name/blobs/:digest", "delete", 404, v2(`/blobs/${missing}`)),
  row("POST /v2/*name/blobs/uploads/", "push", 202, v2("/blobs/uploads/")),
  row("POST /v2/*name/blobs/uploads", "push", 202, v2("/blobs/uploads")),
  row("GET /v2/*name/blobs/uploads/:id", "push", 404, v2("/blobs/uploads/0123")),
  row("PATCH /v2/*name/blobs/uploads/:id", "push", 404, v2("/blobs/uploads/0123"), "content"),
  row("PUT /v2/*name/blobs/uploads/:id", "push", 404, v2(`/blobs/uploads/0123?digest=${missing}`), "content"),
  row("DELETE /v2/*name/blobs/uploads/:id", "push", 404, v2("/blobs/uploads/0123")),
  row("GET /v2/token", "open", 200, here("/v2/token")),
  row("POST /v2/token", "open", 400, here("/v2/token"), "grant_type=none"),
  row("GET /", "open", 200, here("/")),
  row("GET /_ping", "open", 200, here("/_ping")),
  row("GET /v1/_ping", "open", 200, here("/v1/_ping")),
  row("GET /_status", "open", 503, here("/_status")),
  row("GET /v1/_status", "open", 503, here("/v1/_status")),
  row("GET /v1/search", "list", 200, here("/v1/search?q=app")),
  row("GET /v1/users/", "login", 200, here("/v1/users/")),
  row("POST /v1/users/", "open", 400, here("/v1/users/"), "{}"),
  row("PUT /v1/users/:name/", "login", 403, here("/v1/users/writer/"), "{}"),
  ...["json", "ancestry", "layer", "files", "diff"].map((file) =>
    row(`GET /v1/images/:id/${file}`, "pull", 200, image(file)),
  ),
  ...["json", "layer", "files"].map((file) =>
    row(`GET /v1/private_images/:id/${file}`, "pull", 200, image(file, "private_images")),
  ),
  row("PUT /v1/images/:id/json", "push", 400, image("json"), "{}"),
  row("PUT /v1/images/:id/layer", "push", 409, image("layer"), "content"),
  row("PUT /v1/images/:id/checksum", "push", 400, image("checksum"), ""),
  row(`GET ${v1}/images`, "pull", 200, repository("/images")),
  row(`PUT ${v1}/images`, "push", 400, repository("/images"), "{}"),
  row(`DELETE ${v1}/images`, "delete", 204, repository("/images")),
  row(`PUT ${v1}/auth`, "push", 200, repository("/auth"), "{}"),
  row(`PUT ${v1}/`, "push", 400, repository("/"), "{}"),
  row(`GET ${v1}/properties`, "pull", 200, repository("/properties")),
  row(`PUT ${v1}/properties`, "push", 400, repository("/properties"), "[]"),
  row(`DELETE ${v1}/tags`, "delete", 404, (place) => `/v1/repositories/${place.repository}-absent/tags`),
  row(`DELETE ${v1}/`, "delete", 404, (place) => `/v1/repositories/${place.repository}-absent/`),
  row(`GET ${v1}/tags/:tag/json`, "pull", 200, repository("/tags/v1/json")),
  row(`GET ${v1}/tags/:tag`, "pull", 200, repository("/tags/v1")),
  row(`PUT ${v1}/tags/:tag`, "push", 400, repository("/tags/new"), "{}"),
  row(`DELETE ${v1}/tags/:tag`, "delete", 404, repository("/tags/absent")),
  row(`GET ${v1}/tags`, "pull", 200, repository("/tags")),
  row(`GET ${v1}/json`, "pull", 200, repository("/json")),
];

/** Routes that only send on to the same with a slash, before anything is looked at. */
const moves = [/^[\w-]+ \/v1\/users$/, /^PUT \/v1\/users\/:name$/, /^(PUT|DELETE) \/v1\/repositories\/\*repo$/];

function routesOf(router: Router): readonly string[] {
  return router.stack.flatMap(({ methods, path }) =>
    methods.filter((method) => method !== "HEAD").map((method) => `${method} ${String(path)}`),
  );
}

/** What somebody sends with a request, whom they should count as, and the only thing that they may do. */
interface Identity {
  readonly name: string;
  readonly headers: (method: string, path: string) => Promise<Record<string, string>>;
  readonly may: (need: Action) => boolean;
  readonly isKnown: boolean;
  readonly client?: () => V1Client;
  /** Tokens of V1 are good for V1 alone. */
  readonly protocol?: "v1" | "v2";
  /** Without the right to ask for lists. */
  readonly unlisted?: true;
  /** The credentials are not right, which is told whatever is asked for. */
  readonly isWrong?: true;
  /** Shows a token, which is no way to get another. */
  readonly showsToken?: true;
  /** May see that there is a registry, all the same. */
  readonly mayEnter?: true;
}

const moving = (route: string) => moves.some((form) => form.test(route));
const isV1 = ({ route }: Row) => !route.includes(" /v2");
const isOfImage = ({ route }: Row) => route.includes("images/:id");

function isAllowed(who: Identity, { route, need }: Row): boolean {
  if (need === "open") return route !== "GET /v2/token" || (who.isWrong !== true && who.showsToken !== true);
  if (need === "list") return who.isKnown && who.unlisted !== true;
  if (need === "login") return who.isKnown || (who.mayEnter === true && route.includes(" /v2"));
  return who.may(need);
}

describe("access to every endpoint", function () {
  this.timeout(180_000);
  let server: GuardedRegistry;
  let place: Place;
  let pushed: V1Image;
  const elsewhere = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;

  before(async function () {
    needs(this, "openssl");
    server = await guardedRegistry(
      ["reader", "writer", "other"],
      [
        { who: ["reader", "client.test"], repositories: ["team/*"], actions: ["pull"] },
        { who: ["writer"], repositories: ["team/*"], actions: ["all"] },
        { who: ["other"], repositories: ["other/*"], actions: ["all"] },
      ],
    );
    const writer = server.connect({ login: "writer:writer-secret" });
    const manifest = await imageManifest(writer, "team/app", "the matrix");
    await pushManifest(writer, "team/app", "v1", manifest);
    const { layers } = manifest as { readonly layers: readonly { readonly digest: string }[] };
    [pushed] = (await smallChain(1)) as [V1Image];
    await writer.push("team/app", "old", [pushed]);
    place = { repository: "team/app", image: pushed.id, blob: layers[0]!.digest };
  });
  after(async () => {
    await server.close();
  });

  const scopes = (name: string) => [
    { type: "repository", name, actions: ["pull", "push", "delete"] },
    { type: "registry", name: "catalog", actions: ["*"] },
  ];
  /** For the repository, and for one beside it that is not there. */
  const both = [...scopes("team/app"), ...scopes("team/app-absent")];
  const bearer = async (...args: Parameters<GuardedRegistry["token"]>) => ({
    Authorization: `Bearer ${await server.token(...args)}`,
  });
  /** As docker sends it; `path` is what it is for, unless it is said to be signed for another repository. */
  const v1Token = async (subject: string, path: string, changes: TokenChanges = {}, signedFor?: string) => {
    const named = path.includes("-absent") ? "team/app-absent" : "team/app";
    const signature = await server.token("v1", subject, [scopes(signedFor ?? named)[0]!], changes);
    return { Authorization: `Token signature=${signature},repository="${named}",access=write` };
  };
  const nobody = { isKnown: false, may: () => false };
  const wrong = { ...nobody, isWrong: true } as const;
  const reader = { isKnown: true, may: (need: Action) => need === "pull" };
  const writer = { isKnown: true, may: () => true };
  const stranger = { isKnown: true, may: () => false };
  const identity = (
    name: string,
    rights: Pick<Identity, "may" | "isKnown" | "isWrong">,
    headers: (path: string) => Promise<object>,
    more: Partial<Identity> = {},
  ): Identity => ({
    name,
    ...rights,
    headers: async (_method, path) => ({ ...(await headers(path)) }),
    ...more,
  });
  const tampered = async () => {
    const [head = "", , signature = ""] = (await server.token("access", "reader", scopes("team/app"))).split(".");
    const [, claims = ""] = (await server.token("access", "writer", scopes("team/app"))).split(".");
    return { Authorization: `Bearer ${head}.${claims}.${signature}` };
  };
  const unsigned = async () => {
    const [, claims = ""] = (await server.token("access", "writer", scopes("team/app"))).split(".");
    const head = Buffer.from('{"alg":"none","typ":"JWT"}').toString("base64url");
    return { Authorization: `Bearer ${head}.${claims}.` };
  };
  const now = async <T>(value: T) => await Promise.resolve(value);
  const v2Only = { protocol: "v2" } as const;
  const token = { showsToken: true } as const;
  const v1Only = { protocol: "v1", unlisted: true } as const;
  const identities: readonly Identity[] = [
    identity("nobody", nobody, async () => await now({})),
    identity("a wrong password", wrong, async () => await now(basic("writer", "wrong"))),
    identity("an unknown account", wrong, async () => await now(basic("nobody", "wrong"))),
    identity("a reader", reader, async () => await now(basic("reader"))),
    identity("a writer", writer, async () => await now(basic("writer"))),
    identity("an account of another repository", stranger, async () => await now(basic("other"))),
    identity("a reader's token", reader, async () => await bearer("access", "reader", scopes("team/app")), token),
    identity("a writer's token", writer, async () => await bearer("access", "writer", both), token),
    identity("a token of nobody", nobody, async () => await bearer("access", "", scopes("team/app")), {
      mayEnter: true,
      ...token,
    }),
    identity(
      "an expired token",
      wrong,
      async () => await bearer("access", "writer", scopes("team/app"), { seconds: -1 }),
    ),
    identity("a tampered token", wrong, tampered),
    identity("a token without a signature", wrong, unsigned),
    identity(
      "a token of another service",
      wrong,
      async () => await bearer("access", "writer", scopes("team/app"), { service: "other" }),
    ),
    identity(
      "a token of another key",
      wrong,
      async () => await bearer("access", "writer", scopes("team/app"), { key: elsewhere }),
    ),
    identity("a token of a removed account", wrong, async () => await bearer("access", "gone", scopes("team/app"))),
    identity("a refresh token", wrong, async () => await bearer("refresh", "writer", scopes("team/app"))),
    identity("a token of V1 as one of V2", wrong, async () => await bearer("v1", "writer", scopes("team/app")), v2Only),
    identity("a writer's token of V1 at V2", wrong, async (path) => await v1Token("writer", path), v2Only),
    identity("a reader's token of V1", reader, async (path) => await v1Token("reader", path), v1Only),
    identity("a writer's token of V1", writer, async (path) => await v1Token("writer", path), v1Only),
    identity("an expired token of V1", wrong, async (path) => await v1Token("writer", path, { seconds: -1 }), v1Only),
    identity(
      "a token of V1 for another repository",
      wrong,
      async (path) => await v1Token("writer", path, {}, "team/b"),
      v1Only,
    ),
    identity("a word that is no token", wrong, async () => await now({ Authorization: "Nonsense abc" })),
    {
      name: "a signed request",
      ...writer,
      headers: async (method, path) => await now(server.signed(method, path.split("?", 1)[0]!)),
    },
    identity("a client's certificate", reader, async () => await now({}), { client: () => server.certified }),
    identity("a certificate that nobody trusts", wrong, async () => await now({}), {
      client: () => server.selfCertified,
    }),
  ];

  const send = async (who: Identity, { route, path, body }: Row, at = place): Promise<Answer> => {
    const [method = ""] = route.split(" ");
    const url = path(at);
    const headers = await who.headers(method, url);
    const client = who.client?.() ?? server.client;
    return await client.send(method, url, {
      headers: { ...headers, "User-Agent": "tests", "Content-Type": "application/json" },
      ...(body !== undefined && { body: Buffer.from(body) }),
    });
  };
  it("has a row for every route", () => {
    const parts = { options: { standalone: true }, tokens: {} };
    const routes = [
      ...routesOf(v1Router(parts as unknown as V1Parts)),
      ...routesOf(v2Router(parts as unknown as V2Parts)),
    ];
    const known = new Set(rows.map(({ route }) => route));
    expect(routes.filter((route) => !known.has(route) && !moving(route))).to.deep.equal([]);
    expect([...known].filter((route) => !routes.includes(route))).to.deep.equal([]);
  });

  for (const who of identities) {
    it(`is for ${who.name} what the rules say`, async () => {
      for (const each of rows) {
        if (who.protocol !== undefined && (who.protocol === "v1") !== isV1(each)) continue;
        const { status, headers } = await send(who, each);
        const what = `${who.name}: ${each.route}`;
        if (isAllowed(who, each)) {
          expect(status, what).to.equal(each.status);
        } else if (who.isKnown && each.need !== "open") {
          expect(status, what).to.be.oneOf(isOfImage(each) ? [400, 403, 404] : [401, 403]);
        } else {
          expect(status, what).to.equal(401);
          expect(headers["www-authenticate"], what).to.match(
            isV1(each) || each.route.endsWith("/token")
              ? /^Basic realm=/
              : /^Bearer realm="[^"]+\/v2\/token",service="registryctl"/,
          );
        }
        if (![401, 403].includes(status)) continue;
        expect(headers["x-accel-redirect"] ?? headers["location"] ?? headers["x-docker-token"], what).to.equal(
          undefined,
        );
      }
    });
  }

  const strangers = identities.filter(({ name }) => ["nobody", "an account of another repository"].includes(name));
  for (const who of strangers) {
    it(`tells ${who.name} nothing of what there is`, async () => {
      const gone: Place = { repository: "team/gap", image: "0".repeat(64), blob: digestOf("no blob") };
      for (const each of rows.filter(({ need }) => ["pull", "push", "delete"].includes(need))) {
        const [there, absent] = [await send(who, each), await send(who, each, gone)];
        expect(toldBy(there, place), each.route).to.equal(toldBy(absent, gone));
      }
    });
  }

  it("lists, finds and mounts only what one may pull", async () => {
    const other = server.connect({ basic: "other:other-secret" });
    const manifest = await imageManifest(other, "other/app", "of others");
    await pushManifest(other, "other/app", "v1", manifest);
    await other.push("other/app", "old", await smallChain(1));
    const repositories = async (client: V1Client, query = "") => {
      const { body, headers } = await client.expect([200], "GET", `/v2/_catalog${query}`);
      return [(JSON.parse(body.toString()) as { repositories: string[] }).repositories, headers["link"]];
    };
    const found = async (client: V1Client) => {
      const { body } = await client.expect([200], "GET", "/v1/search?q=app");
      const { results, num_results: total } = JSON.parse(body.toString()) as {
        results: { name: string }[];
        num_results: number;
      };
      return [results.map(({ name }) => name), total];
    };
    const [team, reading] = [
      server.connect({ basic: "writer:writer-secret" }),
      server.connect({ basic: "reader:reader-secret" }),
    ];
    expect(await repositories(other)).to.deep.equal([["other/app"], undefined]);
    expect(await repositories(reading)).to.deep.equal([["team/app"], undefined]);
    expect(await repositories(reading, "?n=1")).to.deep.equal([["team/app"], undefined]);
    expect(await found(other)).to.deep.equal([["other/app"], 1]);
    expect(await found(reading)).to.deep.equal([["team/app"], 1]);

    const mount = async (client: V1Client, to: string, from: string, blob = place.blob) =>
      (await client.send("POST", `/v2/${to}/blobs/uploads/?mount=${blob}${from}`)).status;
    expect(await mount(team, "team/copy", "&from=team/app")).to.equal(201);
    expect(await mount(other, "other/copy", "&from=team/app")).to.equal(202);
    expect(await mount(other, "other/copy", "&from=team/app", missing)).to.equal(202);
    expect(await mount(other, "other/copy", "")).to.equal(202);
    expect(await mount(team, "team/copy", "")).to.equal(202);
  });

  it("lets nobody reach an image of V1 by naming it", async () => {
    const other = server.connect({ basic: "other:other-secret" });
    const json = async (method: string, path: string, value: unknown) =>
      await other.send(method, path, {
        headers: { "Content-Type": "application/json" },
        body: Buffer.from(JSON.stringify(value)),
      });
    const named = await json("PUT", "/v1/repositories/other/app/tags/stolen", pushed.id);
    const absent = await json("PUT", "/v1/repositories/other/app/tags/stolen", "0".repeat(64));
    expect([named.status, named.body.toString()]).to.deep.equal([absent.status, absent.body.toString()]);
    const id = "1".repeat(64);
    const child = await json("PUT", `/v1/images/${id}/json`, { id, parent: pushed.id });
    const orphan = await json("PUT", `/v1/images/${id}/json`, { id, parent: "0".repeat(64) });
    expect([child.status, child.body.toString()]).to.deep.equal([orphan.status, orphan.body.toString()]);
    expect(child.status).to.equal(400);
    expect((await other.send("GET", `/v1/images/${pushed.id}/layer`)).status).to.equal(404);
    const since = { headers: { "If-Modified-Since": "x" } };
    expect((await other.send("GET", `/v1/images/${pushed.id}/json`, since)).status).to.equal(404);
  });

  it("does not serve what it has at hand to who may not have it", async () => {
    const reading = server.connect({ userAgent: "tests" });
    const headers = await bearer("access", "reader", scopes("team/app"));
    for (let times = 0; times < 3; times++) {
      expect((await reading.send("GET", "/v2/team/app/manifests/v1", { headers })).status).to.equal(200);
      expect((await reading.send("GET", "/v2/team/app/manifests/v1")).status).to.equal(401);
      const others = await bearer("access", "other", scopes("team/app"));
      expect((await reading.send("GET", "/v2/team/app/manifests/v1", { headers: others })).status).to.equal(403);
      expect((await reading.send("GET", "/v2/_catalog", { headers: others })).body.toString()).not.to.contain("team");
      for (const [identity, status] of [
        [basic("reader"), 200],
        [basic("reader", "wrong"), 401],
        [basic("other"), 403],
      ] as const) {
        expect((await reading.send("GET", "/v2/team/app/manifests/v1", { headers: identity })).status).to.equal(status);
      }
    }
  });

  it("notes who was denied what, and who has changed what, without secrets", () => {
    const notes = server.log.filter((line) => line.includes('"audit":true')).map((line) => JSON.parse(line) as object);
    expect(
      notes.some((note) =>
        matches(note, { user: "other", action: "pull", repository: "team/app", outcome: "denied", status: 403 }),
      ),
    ).to.equal(true);
    expect(
      notes.some((note) =>
        matches(note, {
          user: "writer",
          action: "push",
          repository: "team/app",
          reference: "v1",
          outcome: "done",
          remoteAddress: "127.0.0.1",
        }),
      ),
    ).to.equal(true);
    expect(notes.some((note) => matches(note, { user: "writer", action: "login", outcome: "denied" }))).to.equal(true);
    expect(notes.some((note) => matches(note, { action: "pull", outcome: "done" }))).to.equal(false);
    const tagged = { user: "writer", action: "push", repository: "team/app", reference: "old", outcome: "done" };
    expect(notes.some((note) => matches(note, tagged))).to.equal(true);
    expect(notes.every((note) => "id" in note && "remoteAddress" in note)).to.equal(true);
    expect(server.log.join("")).not.to.match(/-secret|eyJ|Basic [A-Za-z0-9]/);
  });
});

function matches(note: object, wanted: object): boolean {
  return Object.entries(wanted).every(([key, value]) => (note as Record<string, unknown>)[key] === value);
}

/** All that an answer tells, without the names that were asked for and what differs in each. */
function toldBy({ status, headers, body }: Answer, { repository: name, image: id, blob }: Place): string {
  const others = Object.entries(headers).filter(([header]) => header !== "date" && header !== "x-request-id");
  const text = JSON.stringify([status, others, body.toString()]);
  return text.replaceAll(name, "NAME").replaceAll(id, "ID").replaceAll(blob, "BLOB");
}
