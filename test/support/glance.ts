import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Context } from "mocha";
import { ini, type Ini } from "./ini.ts";
import type { Keystone } from "./keystone.ts";
import { needsPython } from "./needs.ts";
import { freePort, Program, removeFolder, temporaryFolder } from "./program.ts";

const host = "127.0.0.1";
/** Debian's own: another Python in the PATH lacks Glance. */
const python = "/usr/bin/python3";
const program = fileURLToPath(new URL("./glance-server.py", import.meta.url));

/** An OpenStack Glance of the test's own: it has its tokens checked by a Keystone and keeps images in files. */
export class Glance {
  /** Libraries of Debian's own Python that it is made of. */
  static readonly modules = ["glance"];
  readonly #folder: string;
  readonly #port: number;
  #server: Program | undefined;

  private constructor(folder: string, port: number) {
    this.#folder = folder;
    this.#port = port;
  }

  /**
   * Registers itself as the service `image` of `keystone`, which it asks about every token once, or, with `asksAlways`, for
   * each request: then a revoked token is refused at once. Skips the suite when Glance is not installed.
   */
  static async start(context: Context, keystone: Keystone, asksAlways = false): Promise<Glance> {
    needsPython(context, ...Glance.modules);
    return await Glance.launch(keystone, asksAlways);
  }

  /** As `start`, where Glance is known to be installed. */
  static async launch(keystone: Keystone, asksAlways = false): Promise<Glance> {
    const glance = new Glance(await temporaryFolder("glance"), await freePort());
    try {
      const settings = await keystone.serviceSettings();
      await glance.#configure({ ...settings, ...(!asksAlways && { token_cache_time: 300 }) });
      await glance.restart();
      await keystone.register("image", glance.url);
    } catch (error) {
      await glance.stop();
      throw error;
    }
    return glance;
  }

  get port(): number {
    return this.#port;
  }

  get url(): string {
    return `http://${host}:${this.#port}`;
  }

  /** How many images have content on the disk, of whatever state. */
  async storedFiles(): Promise<number> {
    return (await readdir(join(this.#folder, "images"))).length;
  }

  /** Starts it, also again after `kill`. */
  async restart(): Promise<void> {
    this.#server = new Program(python, [program, this.#folder], {
      cwd: this.#folder,
      env: { ...process.env, PYTHONDONTWRITEBYTECODE: "1" },
    });
    await this.#server.ready("glance", async () => (await fetch(`${this.url}/healthcheck`)).ok, 180);
  }

  /** Ends it as a power cut would; what was stored is there after `restart`. */
  async kill(): Promise<void> {
    await this.#server?.stop("SIGKILL");
  }

  /** It keeps its connections and answers nothing until `thaw`. */
  freeze(): void {
    this.#server?.child.kill("SIGSTOP");
  }

  thaw(): void {
    this.#server?.child.kill("SIGCONT");
  }

  async stop(): Promise<void> {
    await this.kill();
    await removeFolder(this.#folder);
  }

  /** For a test that fails. */
  get log(): string {
    return this.#server?.output ?? "";
  }

  /** Replaces rules of who may do what, such as `{ delete_image: "role:admin" }`, at the next `restart`. */
  async setPolicy(rules: Readonly<Record<string, string>>): Promise<void> {
    await writeFile(this.#path("policy.yaml"), JSON.stringify(rules));
  }

  async #configure(authentication: Ini[string]): Promise<void> {
    for (const name of ["images", "staging", "tasks", "lock"]) await mkdir(this.#path(name));
    await this.setPolicy({});
    await writeFile(this.#path("paste.ini"), pipeline);
    await writeFile(this.#path("glance-api.conf"), this.#configuration(authentication));
  }

  #configuration(authentication: Ini[string]): string {
    return ini({
      DEFAULT: {
        bind_host: host,
        bind_port: this.#port,
        workers: 0,
        use_stderr: true,
        enabled_import_methods: "[]",
        node_staging_uri: `file://${this.#path("staging")}`,
        public_endpoint: this.url,
      },
      database: { connection: `sqlite:///${this.#path("glance.db")}`, sqlite_synchronous: false },
      glance_store: { stores: "file", default_store: "file", filesystem_store_datadir: this.#path("images") },
      keystone_authtoken: authentication,
      oslo_concurrency: { lock_path: this.#path("lock") },
      oslo_policy: { policy_file: this.#path("policy.yaml"), policy_dirs: this.#path("policies") },
      paste_deploy: { flavor: "keystone", config_file: this.#path("paste.ini") },
      task: { work_dir: this.#path("tasks") },
    });
  }

  #path(name: string): string {
    return join(this.#folder, name);
  }
}

/** The package of the daemon has it, and that starts one. */
const pipeline = ini({
  "pipeline:glance-api-keystone": { pipeline: "healthcheck versionnegotiation authtoken context rootapp" },
  "composite:rootapp": {
    "paste.composite_factory": "glance.api:root_app_factory",
    "/": "apiversions",
    "/v2": "apiv2app",
  },
  "app:apiversions": { "paste.app_factory": "glance.api.versions:create_resource" },
  "app:apiv2app": { "paste.app_factory": "glance.api.v2.router:API.factory" },
  "filter:healthcheck": { "paste.filter_factory": "oslo_middleware:Healthcheck.factory" },
  "filter:versionnegotiation": {
    "paste.filter_factory": "glance.api.middleware.version_negotiation:VersionNegotiationFilter.factory",
  },
  "filter:context": { "paste.filter_factory": "glance.api.middleware.context:ContextMiddleware.factory" },
  "filter:authtoken": {
    "paste.filter_factory": "keystonemiddleware.auth_token:filter_factory",
    delay_auth_decision: true,
  },
});
