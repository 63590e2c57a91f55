import { expect } from "chai";
import { RegistryError } from "../../../src/server/errors.ts";
import { cors, type CorsOptions } from "../../../src/server/http/cors.ts";
import { koaServer } from "../../support/koa-server.ts";

const defaults: CorsOptions = {
  origins: ["http://a.example"],
  methods: ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"],
  headers: ["Content-Type"],
  expose_headers: [],
  supports_credentials: false,
  send_wildcard: true,
  always_send: true,
  automatic_options: true,
  vary_header: true,
};

interface Ask {
  readonly path?: string;
  readonly method?: string;
  readonly origin?: string;
  readonly headers?: Record<string, string>;
}

/** The status and the CORS headers (without their prefix) of an answer. */
async function ask(options: Partial<CorsOptions>, { path = "/", method = "GET", origin, headers = {} }: Ask) {
  const server = await koaServer(
    (ctx) => {
      if (ctx.path === "/missing") throw new RegistryError("NOT_FOUND");
      ctx.body = "ok";
    },
    { outer: [cors({ ...defaults, ...options })] },
  );
  try {
    const answer = await fetch(server.url + path, { method, headers: { ...(origin ? { origin } : {}), ...headers } });
    const text = await answer.text();
    const found = [...answer.headers].filter(([name]) => name.startsWith("access-control-") || name === "vary");
    const named = found.map(([name, value]) => [name.replace("access-control-", ""), value] as const);
    return { status: answer.status, text, headers: Object.fromEntries(named) };
  } finally {
    server.cut();
    await server.close(0);
  }
}

const own = { "allow-origin": "http://a.example", "allow-headers": "Content-Type", vary: "Origin" };

describe("cors", () => {
  const rows: readonly (readonly [string, Partial<CorsOptions>, Ask, Record<string, string>])[] = [
    ["a matching origin", {}, { origin: "http://a.example" }, own],
    ["no origin", {}, {}, own],
    ["no origin, unless always_send", { always_send: false }, {}, { vary: "Origin" }],
    ["an error", {}, { origin: "http://a.example", path: "/missing" }, own],
    ["another origin", {}, { origin: "http://b.example" }, { vary: "Origin" }],
    ["an origin that only begins alike", {}, { origin: "http://a.example.evil.com" }, { vary: "Origin" }],
    ["several origins and no Origin", { origins: ["http://a.example", "http://b.example"] }, {}, { vary: "Origin" }],
    [
      "the second of several origins",
      { origins: ["http://a.example", "http://b.example"] },
      { origin: "http://b.example" },
      { ...own, "allow-origin": "http://b.example" },
    ],
    [
      "every origin",
      { origins: ["*"] },
      { origin: "http://x" },
      { "allow-origin": "*", "allow-headers": "Content-Type" },
    ],
    [
      "every origin by name",
      { origins: ["*"], send_wildcard: false },
      { origin: "http://x" },
      { ...own, "allow-origin": "http://x" },
    ],
    [
      "credentials: never the wildcard",
      { origins: ["*"], supports_credentials: true },
      { origin: "http://x" },
      { ...own, "allow-origin": "http://x", "allow-credentials": "true" },
    ],
    [
      "a pattern",
      { origins: ["https://*.example.com"] },
      { origin: "https://ci.example.com" },
      { ...own, "allow-origin": "https://ci.example.com" },
    ],
    [
      "a pattern's dots",
      { origins: ["https://*.example.com"] },
      { origin: "https://ciXexample.com" },
      { vary: "Origin" },
    ],
    [
      "a regular expression",
      { origins: ["https?://(a|b)\\.example"] },
      { origin: "http://b.example" },
      { ...own, "allow-origin": "http://b.example" },
    ],
    [
      "a regular expression, whole",
      { origins: ["https?://(a|b)\\.example"] },
      { origin: "http://b.example.evil.com" },
      { vary: "Origin" },
    ],
    [
      "no Vary when told so",
      { vary_header: false },
      { origin: "http://a.example" },
      { "allow-origin": "http://a.example", "allow-headers": "Content-Type" },
    ],
    [
      "exposed headers",
      { expose_headers: ["X-Docker-Token", "X-Docker-Size"] },
      { origin: "http://a.example" },
      { ...own, "expose-headers": "X-Docker-Token, X-Docker-Size" },
    ],
    ["a path outside the resources", { resources: ["/v1/"] }, { origin: "http://a.example", path: "/v2/" }, {}],
    ["a path within the resources", { resources: ["/v1"] }, { origin: "http://a.example", path: "/v1/_ping" }, own],
    ["a path like the resources", { resources: ["/v1"] }, { origin: "http://a.example", path: "/v12" }, {}],
    [
      "a resource with a rule of its own",
      { resources: { "/v1/*": {}, "/v1/search": { origins: ["*"] } } },
      { origin: "http://x", path: "/v1/search" },
      { "allow-origin": "*", "allow-headers": "Content-Type" },
    ],
  ];
  for (const [what, options, request, headers] of rows) {
    it(`answers ${what}`, async () => {
      expect((await ask(options, request)).headers).to.deep.equal(headers);
    });
  }

  const preflight = {
    origin: "http://a.example",
    method: "OPTIONS",
    headers: { "access-control-request-method": "PUT" },
  };

  it("answers preflights itself", async () => {
    const answer = await ask({ max_age: 60 }, { ...preflight, path: "/missing" });
    expect(answer).to.deep.include({ status: 200, text: "" });
    expect(answer.headers).to.deep.equal({
      ...own,
      "allow-methods": "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT",
      "max-age": "60",
    });
  });

  it("leaves preflights to the application without automatic_options, and other OPTIONS always", async () => {
    expect((await ask({ automatic_options: false }, preflight)).text).to.equal("ok");
    expect((await ask({}, { method: "OPTIONS" })).text).to.equal("ok");
  });

  it("allows every header by name when credentials are sent", async () => {
    const headers = { ...preflight.headers, "access-control-request-headers": "X-A, X-B" };
    const answer = await ask({ headers: ["*"], supports_credentials: true }, { ...preflight, headers });
    expect(answer.headers).to.include({ "allow-headers": "X-A, X-B" });
  });

  it("names the option whose pattern is malformed", () => {
    expect(() => cors({ ...defaults, origins: ["http://(a"] })).to.throw("cors.origins: http://(a");
  });
});
