import { randomUUID } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Context } from "mocha";
import { ini, type Ini } from "./ini.ts";
import { needsPython } from "./needs.ts";
import { freePort, Program, removeFolder, temporaryFolder, until } from "./program.ts";

const host = "127.0.0.1";
/** Debian's own: another Python in the PATH lacks Keystone. */
const python = "/usr/bin/python3";
const program = fileURLToPath(new URL("./keystone-server.py", import.meta.url));

/** The domain of all users and projects, by name. */
const domain = "Default";
const domainId = "default";

/** Who asks for tokens, and for which project. */
export interface KeystoneUser {
  readonly name: string;
  readonly password: string;
  readonly project: string;
  /** The domain of both. */
  readonly domain: string;
}

/** What a service of OpenStack is called in the catalogue. */
export type ServiceType = "object-store" | "image";

/**
 * An OpenStack Keystone of the test's own, version 3 of its API. It knows `admin`, who may do everything, and begins with
 * one project, `registry`, where `user` is a plain member; services are in the catalogue once they are registered.
 */
export class Keystone {
  /** Libraries of Debian's own Python that it is made of. */
  static readonly modules = ["keystone"];
  readonly admin: KeystoneUser = { name: "admin", password: "secret-of-admin", project: "admin", domain };
  readonly user: KeystoneUser = { name: "registry", password: "secret-of-registry", project: "registry", domain };
  readonly region = "RegionOne";
  readonly #folder: string;
  readonly #port: number;
  readonly #tokenSeconds: number;
  #server: Program | undefined;

  private constructor(folder: string, port: number, tokenSeconds: number) {
    this.#folder = folder;
    this.#port = port;
    this.#tokenSeconds = tokenSeconds;
  }

  /** Skips the suite when Keystone is not installed. Tokens are valid for `tokenSeconds`. */
  static async start(context: Context, tokenSeconds = 3600): Promise<Keystone> {
    needsPython(context, ...Keystone.modules);
    return await Keystone.launch(tokenSeconds);
  }

  /** As `start`, where Keystone is known to be installed. */
  static async launch(tokenSeconds = 3600): Promise<Keystone> {
    const keystone = new Keystone(await temporaryFolder("keystone"), await freePort(), tokenSeconds);
    try {
      await writeFile(join(keystone.#folder, "keystone.conf"), keystone.#configuration());
      await keystone.restart();
      await keystone.#addUser(keystone.user, "member");
    } catch (error) {
      await keystone.stop();
      throw error;
    }
    return keystone;
  }

  get port(): number {
    return this.#port;
  }

  get url(): string {
    return `http://${host}:${this.#port}`;
  }

  /** What OpenStack's own clients have in OS_AUTH_URL. */
  get authUrl(): string {
    return `${this.url}/v3`;
  }

  /** Adds a user who has `role` in a project, which is made when it is missing. */
  async newUser(role: "admin" | "member" | "reader" = "member", project = this.user.project): Promise<KeystoneUser> {
    const name = `user-${randomUUID()}`;
    const user = { name, password: `secret-of-${name}`, project, domain };
    await this.#addUser(user, role);
    return user;
  }

  /** Puts a service into the catalogue, for all; `url` may hold `%(project_id)s`. */
  async register(type: ServiceType, url: string): Promise<void> {
    const { service } = await this.#post<{ service: Named }>("services", { service: { type, name: type } });
    for (const kind of ["public", "internal", "admin"]) {
      const endpoint = { service_id: service.id, interface: kind, region_id: this.region, url };
      await this.#post("endpoints", { endpoint });
    }
  }

  /** Takes a service out of the catalogue. */
  async unregister(type: ServiceType): Promise<void> {
    const { services } = await this.#ask<{ services: readonly Named[] }>("GET", `services?type=${type}`);
    for (const { id } of services) await this.#ask("DELETE", `services/${id}`);
  }

  /** A new token of the user's, for requests that a test makes itself. */
  async token(user: KeystoneUser = this.user): Promise<string> {
    const scope = { project: { name: user.project, domain: { name: user.domain } } };
    const credentials = { name: user.name, password: user.password, domain: { name: user.domain } };
    const auth = { identity: { methods: ["password"], password: { user: credentials } }, scope };
    const response = await fetch(`${this.authUrl}/auth/tokens`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ auth }),
    });
    const token = response.headers.get("x-subject-token");
    if (token === null) throw new Error(`no token for ${user.name}: ${await response.text()}`);
    return token;
  }

  /** The id of the user's project, as it stands in URLs of Swift. */
  async projectId(user: KeystoneUser = this.user): Promise<string> {
    return await this.#idOf("projects", user.project);
  }

  /** From now on all tokens that the user has are refused with 401; new ones are valid when this resolves. */
  async revokeTokens(user: KeystoneUser = this.user): Promise<void> {
    const id = await this.#idOf("users", user.name);
    await this.#ask("PATCH", `users/${id}`, { user: { enabled: false } });
    await this.#ask("PATCH", `users/${id}`, { user: { enabled: true } });
    // Tokens know the second they were made in: those of the second of the revocation are refused too.
    await until("a token that is valid", async () => await this.isValid(await this.token(user)));
  }

  /** Whether services would accept the token. */
  async isValid(token: string): Promise<boolean> {
    const headers = { "x-auth-token": await this.token(this.admin), "x-subject-token": token };
    return (await fetch(`${this.authUrl}/auth/tokens`, { headers })).ok;
  }

  /** Starts it, also again after `kill`. */
  async restart(): Promise<void> {
    this.#server = new Program(python, [program, this.#folder, String(this.#port), this.admin.password], {
      cwd: this.#folder,
      env: { ...process.env, PYTHONDONTWRITEBYTECODE: "1" },
    });
    await this.#server.ready("keystone", async () => (await fetch(this.authUrl)).ok, 180);
  }

  /** Ends it as a power cut would; what it knows is there after `restart`. */
  async kill(): Promise<void> {
    await this.#server?.stop("SIGKILL");
  }

  async stop(): Promise<void> {
    await this.kill();
    await removeFolder(this.#folder);
  }

  /**
   * What a service of OpenStack needs in its configuration to have tokens checked here, as a user of its own. It asks for
   * each request, so that a revoked token is refused at once.
   */
  async serviceSettings(): Promise<Ini[string]> {
    const service = await this.newUser("admin", "service");
    return {
      www_authenticate_uri: this.url,
      auth_url: this.url,
      auth_type: "password",
      project_domain_name: domain,
      user_domain_name: domain,
      project_name: service.project,
      username: service.name,
      password: service.password,
      token_cache_time: -1,
    };
  }

  async #addUser({ name, password, project }: KeystoneUser, role: string): Promise<void> {
    const projectId = await this.#idOf("projects", project).catch(async () => {
      const made = await this.#post<{ project: Named }>("projects", {
        project: { name: project, domain_id: domainId },
      });
      return made.project.id;
    });
    const { user } = await this.#post<{ user: Named }>("users", { user: { name, password, domain_id: domainId } });
    const roleId = await this.#idOf("roles", role);
    await this.#ask("PUT", `projects/${projectId}/users/${user.id}/roles/${roleId}`);
  }

  async #idOf(kind: "projects" | "users" | "roles", name: string): Promise<string> {
    const { [kind]: found } = await this.#ask<Record<string, readonly Named[]>>("GET", `${kind}?name=${name}`);
    const [first] = found ?? [];
    if (first === undefined) throw new Error(`Keystone knows no ${name} among its ${kind}`);
    return first.id;
  }

  async #post<T>(path: string, body: object): Promise<T> {
    return await this.#ask<T>("POST", path, body);
  }

  async #ask<T>(method: string, path: string, body?: object): Promise<T> {
    const headers = { "content-type": "application/json", "x-auth-token": await this.token(this.admin) };
    const response = await fetch(`${this.authUrl}/${path}`, {
      method,
      headers,
      ...(body && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`Keystone answers ${method} ${path} with ${response.status}: ${text}`);
    return (text === "" ? undefined : JSON.parse(text)) as T;
  }

  #configuration(): string {
    const keys = (name: string): Ini[string] => ({ key_repository: join(this.#folder, name) });
    return ini({
      DEFAULT: { use_stderr: true, use_journal: false, log_file: "" },
      database: { connection: `sqlite:///${this.#folder}/keystone.db`, sqlite_synchronous: false },
      fernet_tokens: keys("fernet"),
      // Else it wants /etc/keystone.
      fernet_receipts: keys("fernet"),
      credential: keys("credential"),
      // Without it a token takes a third of a second.
      cache: { enabled: true, backend: "dogpile.cache.memory" },
      identity: { password_hash_rounds: 4 },
      token: { provider: "fernet", expiration: this.#tokenSeconds },
      oslo_policy: { policy_dirs: join(this.#folder, "policies") },
    });
  }
}

interface Named {
  readonly id: string;
}
