import type { IncomingHttpHeaders } from "node:http";
import { text } from "node:stream/consumers";
import { z } from "zod";
import { DriverError } from "../errors.ts";
import { endpointIn, type Endpoint } from "./catalog.ts";
import { HttpFailure, readFailure } from "./failure.ts";
import type { Sending, Transport } from "./transport.ts";

/** The services that drivers use, by the names that catalogs have for them. */
export type ServiceType = "object-store" | "image";

/** A domain of Keystone's third version. */
export type Domain = { readonly id: string } | { readonly name: string };

/** Who asks for a token, and where. */
export interface Credentials {
  readonly url: URL;
  readonly user: string;
  readonly password: string;
  readonly tenant: string | undefined;
  readonly region: string | undefined;
  /** Undefined when the path of the URL or the server has to say. */
  readonly version: number | undefined;
  readonly userDomain: Domain | undefined;
  readonly projectDomain: Domain | undefined;
}

/** What an identity server has answered. */
export interface Session {
  readonly token: string;
  /** How long the token is valid from now on, in milliseconds; infinite where nobody says. */
  readonly lifetime: number;
  /** The id of the project that the token is for; undefined where nobody says. */
  readonly project: string | undefined;
  /** The URL of a service. Throws REFUSED when the catalog has none. */
  readonly endpoint: (type: ServiceType) => string;
}

/** Asks for a token in the version of the protocol that the settings, the URL or the server name. */
export async function authenticate(transport: Transport, credentials: Credentials): Promise<Session> {
  const version = credentials.version ?? versionOf(credentials.url.pathname) ?? (await ask(transport, credentials.url));
  if (version === 1) return await authenticate1(transport, credentials);
  if (version === 2) return await authenticate2(transport, credentials);
  return await authenticate3(transport, credentials);
}

/** What the last part of a path such as `/identity/v2.0` says. */
function versionOf(path: string): number | undefined {
  const digit = /\/v([123])(?:\.\d+)?\/*$/.exec(path)?.[1];
  return digit === undefined ? undefined : Number(digit);
}

const versions = z.object({ versions: z.object({ values: z.array(z.object({ id: z.string() })) }) });

/** Keystone lists its versions where no version is named. Everyone else is Swift's own authentication. */
async function ask(transport: Transport, url: URL): Promise<number> {
  const answer = await transport.send({ method: "GET", url, headers: { accept: "application/json" } });
  const said = await text(answer.body);
  const listed = versions.safeParse(parsed(said)).data?.versions.values.map(({ id }) => versionOf(`/${id}`) ?? 0);
  if (listed && listed.length > 0) return Math.max(...listed);
  if (answer.status >= 500) throw new HttpFailure(answer.status, "", answer.headers);
  const remedy = `${url.href} does not say which versions it has: correct swift_authurl, or set swift_auth_version`;
  throw new DriverError("REFUSED", remedy);
}

async function authenticate1(transport: Transport, { url, user, password, tenant }: Credentials): Promise<Session> {
  const place = new URL(url);
  if (place.pathname === "/") place.pathname = "/auth/v1.0";
  const name = tenant === undefined || user.includes(":") ? user : `${tenant}:${user}`;
  const { headers } = await request(transport, {
    method: "GET",
    url: place,
    headers: { "x-auth-user": name, "x-auth-key": password },
  });
  const token = headerOf(headers, "x-auth-token") ?? headerOf(headers, "x-storage-token");
  const storage = headerOf(headers, "x-storage-url");
  if (token === undefined || storage === undefined) throw strange(place, "X-Auth-Token and X-Storage-Url");
  const seconds = Number(headerOf(headers, "x-auth-token-expires") ?? Number.NaN);
  return {
    token,
    lifetime: Number.isFinite(seconds) ? seconds * 1000 : Infinity,
    project: undefined,
    endpoint: (type) => {
      if (type === "object-store") return storage;
      throw new DriverError("REFUSED", `authentication 1 names no service ${type}: set swift_auth_version to 3`);
    },
  };
}

const project = z.object({ id: z.string() });

const answer2 = z.object({
  access: z.object({
    token: z.object({
      id: z.string(),
      issued_at: z.string().optional(),
      expires: z.string(),
      tenant: project.optional(),
    }),
    serviceCatalog: z
      .array(
        z.object({
          type: z.string(),
          endpoints: z.array(z.object({ region: z.string().nullish(), publicURL: z.string() })),
        }),
      )
      .default([]),
  }),
});

async function authenticate2(transport: Transport, credentials: Credentials): Promise<Session> {
  const url = versioned(credentials.url, "v2.0", "tokens");
  const { user, tenant } = namesOf(credentials);
  const passwordCredentials = { username: user, password: credentials.password };
  const answer = await request(transport, json(url, { auth: { passwordCredentials, tenantName: tenant } }));
  const { access } = answer2.safeParse(parsed(answer.text)).data ?? {};
  if (access === undefined) throw strange(url, "a token");
  const { token, serviceCatalog } = access;
  const endpoints = serviceCatalog.flatMap(({ type, endpoints: all }): Endpoint[] =>
    all.map(({ region, publicURL }) => ({ type, region, url: publicURL })),
  );
  return {
    token: token.id,
    lifetime: lifetimeOf(token.issued_at, token.expires, answer.headers),
    project: token.tenant?.id,
    endpoint: (type) => endpointIn(endpoints, type, credentials),
  };
}

const answer3 = z.object({
  token: z.object({
    issued_at: z.string().optional(),
    expires_at: z.string(),
    project: project.optional(),
    catalog: z
      .array(
        z.object({
          type: z.string(),
          endpoints: z.array(z.object({ interface: z.string(), region: z.string().nullish(), url: z.string() })),
        }),
      )
      .default([]),
  }),
});

async function authenticate3(transport: Transport, credentials: Credentials): Promise<Session> {
  const url = versioned(credentials.url, "v3", "auth/tokens");
  const { user: name, tenant } = namesOf(credentials);
  const userDomain = credentials.userDomain ?? { id: "default" };
  const user = { name, domain: userDomain, password: credentials.password };
  const scope = { project: { name: tenant, domain: credentials.projectDomain ?? userDomain } };
  const identity = { methods: ["password"], password: { user } };
  const auth = { identity, ...(tenant !== undefined && { scope }) };
  const answer = await request(transport, json(url, { auth }));
  const { token } = answer3.safeParse(parsed(answer.text)).data ?? {};
  const id = headerOf(answer.headers, "x-subject-token");
  if (token === undefined || id === undefined) throw strange(url, "a token");
  const endpoints = token.catalog.flatMap(({ type, endpoints: all }): Endpoint[] =>
    all.flatMap(({ interface: side, region, url: place }) => (side === "public" ? [{ type, region, url: place }] : [])),
  );
  return {
    token: id,
    lifetime: lifetimeOf(token.issued_at, token.expires_at, answer.headers),
    project: token.project?.id,
    endpoint: (type) => endpointIn(endpoints, type, credentials),
  };
}

/** Some put the tenant before the user, as version 1 has it. */
function namesOf({ user, tenant }: Credentials): { readonly user: string; readonly tenant: string | undefined } {
  const colon = user.indexOf(":");
  if (tenant !== undefined || colon < 0) return { user, tenant };
  return { user: user.slice(colon + 1), tenant: user.slice(0, colon) };
}

/** The URL of that version, whichever one `url` names. */
function versioned(url: URL, version: string, path: string): URL {
  const place = new URL(url);
  const base = place.pathname.replace(/\/+$/, "").replace(/\/v\d(\.\d+)?$/, "");
  place.pathname = `${base}/${version}/${path}`;
  return place;
}

function json(url: URL, content: unknown): Sending {
  const headers = { accept: "application/json", "content-type": "application/json" };
  return { method: "POST", url, headers, body: Buffer.from(JSON.stringify(content)) };
}

async function request(
  transport: Transport,
  sending: Sending,
): Promise<{ readonly headers: IncomingHttpHeaders; readonly text: string }> {
  const answer = await transport.send(sending);
  if (answer.status >= 200 && answer.status < 300) return { headers: answer.headers, text: await text(answer.body) };
  throw refusal(await readFailure(answer), sending.url);
}

function refusal(failure: HttpFailure, url: URL): Error {
  const refused = (said: string): DriverError =>
    new DriverError("REFUSED", `${said} (${failure.message})`, { cause: failure });
  switch (failure.status) {
    case 401:
    case 403:
      return refused(
        `${url.origin} does not accept who asks: correct swift_user, swift_password, swift_tenant_name or, for version 3, their domains`,
      );
    case 300:
    case 301:
    case 302:
    case 400:
    case 404:
    case 405:
    case 410:
      return refused(`${url.href} gives no tokens: correct swift_authurl or swift_auth_version`);
    default:
      return failure;
  }
}

function strange(url: URL, what: string): DriverError {
  return new DriverError("REFUSED", `${url.href} answers without ${what}: correct swift_authurl or swift_auth_version`);
}

/** Counted by the server's own clock: ours may be another. */
function lifetimeOf(issued: string | undefined, expires: string, headers: IncomingHttpHeaders): number {
  const start = Date.parse(issued ?? headers.date ?? new Date().toISOString());
  const lifetime = Date.parse(expires) - start;
  return lifetime > 0 ? lifetime : 0;
}

function headerOf(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value[0] : value;
}

function parsed(said: string): unknown {
  try {
    return JSON.parse(said);
  } catch {
    return undefined;
  }
}
