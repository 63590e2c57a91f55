import { createHmac, randomBytes } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { DriverError } from "../errors.ts";
import type { Identity } from "../openstack/identity.ts";
import type { Requests } from "../openstack/requests.ts";
import type { Container } from "./container.ts";

/** What URLs are signed with. */
interface SigningKey {
  readonly secret: string;
  readonly digest: "sha1" | "sha256";
  /** A container's key opens what is in this container alone: not what a large object lists. */
  readonly isAccountWide: boolean;
}

/** How long a key is used before the server is asked for it again, and how long none is looked for after one failed, in milliseconds. */
const validity = 600_000;
const pause = 30_000;

/**
 * URLs that open an object for a while without a token. They are signed with the account's or the container's key; where
 * there is none and rights suffice, one is set.
 */
export class TempUrls {
  readonly #identity: Identity;
  readonly #requests: Requests;
  readonly #container: Container;
  #known: { readonly key: Promise<SigningKey | undefined>; readonly until: number } | undefined;

  constructor(identity: Identity, requests: Requests, container: Container) {
    this.#identity = identity;
    this.#requests = requests;
    this.#container = container;
  }

  /** Undefined where there is no key that opens the object, or the server has no such URLs. */
  async sign(key: string, seconds: number): Promise<URL | undefined> {
    const signing = await this.#signingKey(key);
    if (signing === undefined) return undefined;
    if (!signing.isAccountWide && (await this.#container.find(key))?.isLarge === true) return undefined;
    return await this.#signed(key, seconds, signing);
  }

  async #signingKey(key: string): Promise<SigningKey | undefined> {
    if (this.#known === undefined || Date.now() > this.#known.until) {
      this.#known = { key: this.#look(key), until: Date.now() + validity };
    }
    try {
      const found = await this.#known.key;
      if (found === undefined) this.#known = { ...this.#known, until: Math.min(this.#known.until, Date.now() + pause) };
      return found;
    } catch (error) {
      this.#known = undefined;
      throw error;
    }
  }

  /** A key that has opened the object `key`, or would if there were one. */
  async #look(key: string): Promise<SigningKey | undefined> {
    const digest = await this.#digest();
    if (digest === undefined) return undefined;
    const secret = randomBytes(32).toString("hex");
    for (const look of [
      async () => await this.#keyOf(""),
      async () => await this.#keyOf(this.#container.path()),
      async () => await this.#setKey("", secret),
      async () => await this.#setKey(this.#container.path(), secret),
    ]) {
      const found = await look();
      const signing = found && { ...found, digest };
      if (signing && (await this.#opens(key, signing))) return signing;
    }
    return undefined;
  }

  /** What the server takes signatures of; undefined where it has no such URLs. Servers that don't tell take what is usual. */
  async #digest(): Promise<SigningKey["digest"] | undefined> {
    const url = await this.#identity.endpoint("object-store");
    url.pathname = url.pathname.replace(/\/v1(\/.*)?$/, "/info");
    const answer = await this.#identity.transport.send({ method: "GET", url });
    let text = "";
    for await (const chunk of answer.body as AsyncIterable<Buffer>) text += chunk.toString();
    if (answer.status !== 200) return "sha256";
    const tempurl = /"tempurl"\s*:\s*\{[^}]*\}/.exec(text)?.[0];
    if (tempurl === undefined) return undefined;
    return tempurl.includes('"sha256"') ? "sha256" : "sha1";
  }

  async #keyOf(path: string): Promise<Omit<SigningKey, "digest"> | undefined> {
    const scope = path === "" ? "account" : "container";
    const headers = await this.#permitted({ method: "HEAD", path });
    const secret = headers?.[`x-${scope}-meta-temp-url-key`] ?? headers?.[`x-${scope}-meta-temp-url-key-2`];
    return typeof secret === "string" && secret !== "" ? { secret, isAccountWide: path === "" } : undefined;
  }

  /** Somebody else may set one at the same time: the one that is there afterwards counts. */
  async #setKey(path: string, secret: string): Promise<Omit<SigningKey, "digest"> | undefined> {
    const known = await this.#keyOf(path);
    if (known !== undefined) return undefined;
    const name = `x-${path === "" ? "account" : "container"}-meta-temp-url-key`;
    const done = await this.#permitted({ method: "POST", path, headers: { [name]: secret } });
    return done && (await this.#keyOf(path));
  }

  /** The headers of an answer; undefined where rights lack. */
  async #permitted(ask: {
    readonly method: "HEAD" | "POST";
    readonly path: string;
    readonly headers?: Readonly<Record<string, string>>;
  }): Promise<IncomingHttpHeaders | undefined> {
    try {
      return (await this.#requests.ask({ ...ask, subject: "the account", persistent: true })).headers;
    } catch (error) {
      if (error instanceof DriverError && error.code === "REFUSED") return undefined;
      throw error;
    }
  }

  async #opens(key: string, signing: SigningKey): Promise<boolean> {
    const url = await this.#signed(key, 60, signing);
    const { status, body } = await this.#identity.transport.send({
      method: "GET",
      url,
      headers: { range: "bytes=0-0" },
    });
    body.destroy();
    return status !== 401 && status !== 403;
  }

  async #signed(key: string, seconds: number, { secret, digest }: SigningKey): Promise<URL> {
    const url = await this.#identity.endpoint("object-store");
    url.pathname += this.#container.path(key);
    const expires = Math.ceil(Date.now() / 1000) + Math.max(Math.round(seconds), 1);
    const signed = `GET\n${expires}\n${decodeURIComponent(url.pathname)}`;
    url.searchParams.set("temp_url_sig", createHmac(digest, secret).update(signed).digest("hex"));
    url.searchParams.set("temp_url_expires", String(expires));
    // Else the answer says that it is a file to be saved.
    url.searchParams.set("inline", "");
    return url;
  }
}
