import { DriverError } from "../errors.ts";
import { attempt, type Attempts } from "./attempts.ts";
import { authenticate, type Credentials, type ServiceType, type Session } from "./authentication.ts";
import { driverError } from "./failure.ts";
import type { IdentitySettings } from "./options.ts";
import { Transport } from "./transport.ts";

/** Who we are to an OpenStack cloud, and where its services are. */
export interface Identity {
  /** What all requests to the cloud travel through. */
  readonly transport: Transport;
  /** A token that is valid for a while yet; asked for when it is needed first, and again before it expires. */
  token(): Promise<string>;
  /** Another token than `stale`, which a service has refused with 401. Asked for once for all who ask at the same time. */
  renew(stale: string): Promise<string>;
  /** The id of the project that tokens are for; undefined where nobody says. */
  project(): Promise<string | undefined>;
  /** Where a service is, without a slash at its end. REFUSED when there is none, or none in swift_region_name. */
  endpoint(type: ServiceType): Promise<URL>;
  /** Cuts all connections: nothing works any more. */
  close(): Promise<void>;
}

/** What the requests depend on beside what the operator says; tests choose other values. */
export interface IdentityTuning extends Attempts {
  /** Milliseconds without a byte after which a request has failed. */
  readonly idle: number;
}

/** Services whose URL the operator has given: the catalog isn't asked for those. */
export type GivenServices = Partial<Readonly<Record<ServiceType, string | undefined>>>;

const usual: IdentityTuning = { idle: 60_000, attempts: 4, delay: 250 };

/**
 * Prepares to speak with a cloud as the settings say; asks it nothing yet. Everything the methods of the answer reject with
 * is a `DriverError`: REFUSED names the option to correct, UNAVAILABLE may be tried again.
 */
export async function connectIdentity(
  settings: IdentitySettings,
  { given = {}, tuning = {} }: { readonly given?: GivenServices; readonly tuning?: Partial<IdentityTuning> } = {},
): Promise<Identity> {
  const credentials = credentialsOf(settings);
  const all = { ...usual, ...tuning };
  const transport = await Transport.open({ cacert: settings.swift_cacert, idle: all.idle });
  return new CloudIdentity(transport, credentials, given, all);
}

function credentialsOf(settings: IdentitySettings): Credentials {
  const { swift_authurl: url, swift_user: user, swift_password: password } = settings;
  if (url === undefined || user === undefined || password === undefined) {
    const missing = url === undefined ? "swift_authurl" : user === undefined ? "swift_user" : "swift_password";
    throw new DriverError("REFUSED", `${missing} is not set: OpenStack asks who it is that asks`);
  }
  return {
    url: new URL(url),
    user,
    password,
    tenant: settings.swift_tenant_name,
    region: settings.swift_region_name,
    version: settings.swift_auth_version,
    userDomain: domain(settings.swift_user_domain_id, settings.swift_user_domain_name),
    projectDomain: domain(settings.swift_project_domain_id, settings.swift_project_domain_name),
  };
}

function domain(id: string | undefined, name: string | undefined): Credentials["userDomain"] {
  if (id !== undefined) return { id };
  return name === undefined ? undefined : { name };
}

/** A token is renewed when less than this part of its life is left, or less than a minute. */
const lastPart = 0.1;
const longestLast = 60_000;

class CloudIdentity implements Identity {
  readonly transport: Transport;
  readonly #credentials: Credentials;
  readonly #given: GivenServices;
  readonly #attempts: Attempts;
  #session: { readonly session: Session; readonly until: number } | undefined;
  #asking: Promise<Session> | undefined;

  constructor(transport: Transport, credentials: Credentials, given: GivenServices, attempts: Attempts) {
    this.transport = transport;
    this.#credentials = credentials;
    this.#given = given;
    this.#attempts = attempts;
  }

  async token(): Promise<string> {
    return (await this.#current()).token;
  }

  async renew(stale: string): Promise<string> {
    if (this.#session?.session.token === stale) this.#session = undefined;
    return await this.token();
  }

  async project(): Promise<string | undefined> {
    return (await this.#current()).project;
  }

  async endpoint(type: ServiceType): Promise<URL> {
    const given = this.#given[type];
    const url = new URL(given ?? (await this.#current()).endpoint(type));
    url.pathname = url.pathname.replace(/\/+$/, "");
    return url;
  }

  async close(): Promise<void> {
    await this.transport.close();
  }

  async #current(): Promise<Session> {
    if (this.#session && Date.now() < this.#session.until) return this.#session.session;
    this.#asking ??= this.#ask().finally(() => (this.#asking = undefined));
    return await this.#asking;
  }

  async #ask(): Promise<Session> {
    const session = await attempt(
      async () => {
        try {
          return await authenticate(this.transport, this.#credentials);
        } catch (error) {
          throw driverError(error, `swift_authurl ${this.#credentials.url.origin}`, () => undefined);
        }
      },
      this.#attempts,
      (error) => !this.transport.isClosed && error instanceof DriverError && error.code === "UNAVAILABLE",
    );
    const left = Math.min(longestLast, session.lifetime * lastPart);
    this.#session = { session, until: Date.now() + session.lifetime - left };
    return session;
  }
}
