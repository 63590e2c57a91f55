import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { userInfo } from "node:os";
import { fileURLToPath } from "node:url";
import type { Client } from "minio";
import type { Context } from "mocha";
import { command } from "./command.ts";
import { ini, type Ini } from "./ini.ts";
import { needs } from "./needs.ts";
import { freePort, Program, removeFolder, temporaryFolder } from "./program.ts";
import { makeBucket, s3Client, type S3Account, type S3Server } from "./s3-server.ts";

const host = "127.0.0.1";
/** Debian's own: another Python in the PATH lacks Swift. */
const python = "/usr/bin/python3";
const servers = fileURLToPath(new URL("./swift-servers.py", import.meta.url));

interface Ports {
  readonly proxy: number;
  readonly account: number;
  readonly container: number;
  readonly object: number;
  readonly memcached: number;
}

/** The parts of the proxy that authenticate, in front of what serves accounts. */
export interface SwiftAuthentication {
  /** Names of filters, in the order of the pipeline. */
  readonly pipeline: readonly string[];
  readonly filters: Ini;
}

/** Users in the proxy's own configuration, and the S3 API beside Swift's. */
const tempauth: SwiftAuthentication = {
  pipeline: ["s3api", "tempauth"],
  filters: {
    "filter:s3api": {
      use: "egg:swift#s3api",
      location: "us-east-1",
      s3_acl: false,
      check_bucket_owner: false,
      dns_compliant_bucket_names: true,
      allow_multipart_uploads: true,
      min_segment_size: 5_242_880,
      max_upload_part_num: 10_000,
    },
    "filter:tempauth": {
      use: "egg:swift#tempauth",
      reseller_prefix: "AUTH",
      token_life: 86_400,
      storage_url_scheme: "http",
      user_test_tester: "testing .admin",
      user_test_reader: "reading",
    },
  },
};

/** An OpenStack Swift of the test's own: one device, one copy, all servers in one process, and a memcached for tokens. */
export class SwiftServer implements S3Server {
  /** What it is made of. */
  static readonly programs = ["swift-proxy-server", "swift-account-server", "swift-container-server", "swift-object-server", "memcached"]; // prettier-ignore
  readonly host = host;
  readonly region = "us-east-1";
  /** Who may do everything, in both APIs. */
  readonly account: S3Account = { accessKey: "test:tester", secretKey: "testing" };
  /** Who is known and may do nothing. */
  readonly reader: S3Account = { accessKey: "test:reader", secretKey: "reading" };
  readonly #folder: string;
  readonly #ports: Ports;
  #memcached: Program | undefined;
  #servers: Program | undefined;

  private constructor(folder: string, ports: Ports) {
    this.#folder = folder;
    this.#ports = ports;
  }

  /** Skips the suite when Swift is not installed. */
  static async start(context: Context, authentication = tempauth, listingLimit?: number): Promise<SwiftServer> {
    needs(context, ...SwiftServer.programs);
    return await SwiftServer.launch(authentication, listingLimit);
  }

  /** As `start`, where Swift is known to be installed. More than `listingLimit` entries of a listing are refused. */
  static async launch(authentication = tempauth, listingLimit = 10_000): Promise<SwiftServer> {
    const [proxy, account, container, object, memcached] = [await freePort(), await freePort(), await freePort(), await freePort(), await freePort()]; // prettier-ignore
    const server = new SwiftServer(await temporaryFolder("swift"), { proxy, account, container, object, memcached });
    try {
      await server.#configure(authentication, listingLimit);
      await server.restart();
    } catch (error) {
      await server.stop();
      throw error;
    }
    return server;
  }

  get port(): number {
    return this.#ports.proxy;
  }

  get url(): string {
    return `http://${host}:${this.port}`;
  }

  /** Where Swift's own first version of authentication is asked. */
  get authUrl(): string {
    return `${this.url}/auth/v1.0`;
  }

  client(account = this.account): Client {
    return s3Client(this, account);
  }

  async newBucket(): Promise<string> {
    return await makeBucket(this.client());
  }

  /** Starts the servers, also again after `kill`. */
  async restart(): Promise<void> {
    const { memcached } = this.#ports;
    this.#memcached ??= new Program("memcached", ["-u", userInfo().username, "-l", host, "-p", String(memcached), "-U", "0", "-m", "16"]); // prettier-ignore
    const files = ["account", "container", "object", "proxy"].map((name) => this.#path(`etc/${name}.conf`));
    this.#servers = new Program(python, [servers, ...files], {
      cwd: this.#folder,
      env: { ...process.env, PYTHONDONTWRITEBYTECODE: "1" },
    });
    await this.#servers.ready("swift", async () => (await fetch(`${this.url}/healthcheck`)).ok, 60);
  }

  /** Ends the servers as a power cut would; what was stored is there after `restart`. */
  async kill(): Promise<void> {
    await this.#servers?.stop("SIGKILL");
  }

  async stop(): Promise<void> {
    await this.kill();
    await this.#memcached?.stop("SIGKILL");
    await removeFolder(this.#folder);
  }

  async #configure(authentication: SwiftAuthentication, listingLimit: number): Promise<void> {
    for (const name of ["etc", "srv/d1"]) await mkdir(this.#path(name), { recursive: true });
    const { account, container, object } = this.#ports;
    const files = {
      "swift.conf": ini({
        "swift-hash": { swift_hash_path_prefix: "before", swift_hash_path_suffix: "after" },
        "storage-policy:0": { name: "only", default: "yes" },
        "swift-constraints": { container_listing_limit: listingLimit },
      }),
      "account.conf": this.#storageServer("account", account),
      "container.conf": this.#storageServer("container", container),
      "object.conf": this.#storageServer("object", object),
      "proxy.conf": this.#proxy(authentication),
    };
    for (const [name, text] of Object.entries(files)) await writeFile(this.#path(`etc/${name}`), text);
    const rings = [account, container, object].map(String);
    await command(python, ["-c", ringBuilder, this.#path("etc"), ...rings]);
  }

  #common(port: number): Ini[string] {
    return {
      bind_ip: host,
      bind_port: port,
      workers: 0,
      user: userInfo().username,
      // In each file: else /etc/swift is read.
      swift_dir: this.#path("etc"),
      devices: this.#path("srv"),
      mount_check: false,
      disable_fallocate: true,
      fallocate_reserve: 0,
    };
  }

  #storageServer(name: string, port: number): string {
    return ini({
      DEFAULT: this.#common(port),
      "pipeline:main": { pipeline: `${name}-server` },
      [`app:${name}-server`]: { use: `egg:swift#${name}`, allow_version_conflict: true, splice: "no" },
    });
  }

  #proxy({ pipeline, filters }: SwiftAuthentication): string {
    // Without proxy-logging, HEAD of the S3 API has a body when it fails.
    const before = ["catch_errors", "gatekeeper", "healthcheck", "proxy-logging", "cache", "listing_formats", "bulk", "tempurl"]; // prettier-ignore
    const behind = ["copy", "slo", "dlo", "versioned_writes", "proxy-logging"];
    const options: Readonly<Record<string, Ini[string]>> = {
      cache: { memcache_servers: `${host}:${this.#ports.memcached}` },
      slo: { min_segment_size: 1, allow_async_delete: false },
    };
    const own = [...before, ...behind].map((name) => [
      `filter:${name}`,
      { use: `egg:swift#${name === "cache" ? "memcache" : name.replace("-", "_")}`, ...options[name] },
    ]);
    return ini({
      DEFAULT: this.#common(this.#ports.proxy),
      "pipeline:main": { pipeline: [...before, ...pipeline, ...behind, "proxy-server"].join(" ") },
      "app:proxy-server": { use: "egg:swift#proxy", account_autocreate: true, allow_account_management: true },
      ...(Object.fromEntries(own) as Ini),
      ...filters,
    });
  }

  #path(name: string): string {
    return join(this.#folder, name);
  }
}

/** One device that has everything. Arguments: the folder, and the ports of the three servers. */
const ringBuilder = `
import sys
from swift.common.ring import RingBuilder
folder, *ports = sys.argv[1:]
for name, port in zip(("account", "container", "object"), map(int, ports)):
    builder = RingBuilder(1, 1, 0)
    builder.add_dev(dict(id=0, region=1, zone=1, device="d1", weight=1.0, meta="", ip="127.0.0.1", port=port,
                         replication_ip="127.0.0.1", replication_port=port))
    builder.rebalance()
    builder.get_ring().save(f"{folder}/{name}.ring.gz")
`;
