import { randomUUID } from "node:crypto";
import { mkdir, mkdtemp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Client } from "minio";
import type { Context } from "mocha";
import { command } from "./command.ts";
import { ini } from "./ini.ts";
import { needs } from "./needs.ts";
import { freePort, Program, removeFolder, temporaryFolder } from "./program.ts";
import { makeBucket, s3Client, type S3Account, type S3Server } from "./s3-server.ts";

const host = "127.0.0.1";

/**
 * A Ceph cluster of the test's own: one monitor, one store that lives in memory, and the gateway that speaks S3 and
 * Swift. The gateway can be killed and started again while the store keeps its objects.
 */
export class RadosGateway implements S3Server {
  /** What it is made of. */
  static readonly programs = [
    "ceph-mon",
    "ceph-osd",
    "radosgw",
    "radosgw-admin",
    "ceph-authtool",
    "monmaptool",
    "ceph",
  ];
  readonly host = host;
  readonly port: number;
  readonly region = "us-east-1";
  readonly account: S3Account = { accessKey: "TESTACCESSKEY", secretKey: "testsecretkey" };
  /** The same user through Swift's API, below `/auth/v1.0`. */
  readonly swiftAccount = { user: "test:tester", password: "testing" } as const;
  readonly #folder: string;
  readonly #sockets: string;
  readonly #monitorPort: number;
  readonly #programs: Program[] = [];
  #gateway: Program | undefined;

  private constructor(folder: string, sockets: string, port: number, monitorPort: number) {
    this.#folder = folder;
    this.#sockets = sockets;
    this.port = port;
    this.#monitorPort = monitorPort;
  }

  /** Skips the suite when Ceph is not installed. */
  static async start(context: Context): Promise<RadosGateway> {
    needs(context, ...RadosGateway.programs);
    return await RadosGateway.launch();
  }

  /** As `start`, where Ceph is known to be installed. */
  static async launch(): Promise<RadosGateway> {
    // Paths of Unix sockets have room for 107 bytes.
    const sockets = await mkdtemp("/tmp/rgw-");
    const server = new RadosGateway(await temporaryFolder("ceph"), sockets, await freePort(), await freePort());
    try {
      await server.#startCluster();
      await server.#addFirstUser();
      await server.startGateway();
    } catch (error) {
      await server.stop();
      throw error;
    }
    return server;
  }

  get url(): string {
    return `http://${host}:${this.port}`;
  }

  client(account = this.account): Client {
    return s3Client(this, account);
  }

  async newBucket(): Promise<string> {
    return await makeBucket(this.client());
  }

  /** Makes a user who may do nothing with the buckets of others; policies name it by `arn`. */
  async newUser(): Promise<S3Account & { readonly arn: string }> {
    const name = `user${randomUUID().slice(0, 8)}`;
    const account = { accessKey: name.toUpperCase(), secretKey: `secret-of-${name}` };
    await this.#administer("user", "create", `--uid=${name}`, `--display-name=${name}`, `--access-key=${account.accessKey}`, `--secret-key=${account.secretKey}`); // prettier-ignore
    return { ...account, arn: `arn:aws:iam:::user/${name}` };
  }

  /** Sets how many bytes the first user may keep in each bucket; undefined lifts it. */
  async setQuota(bytes: number | undefined): Promise<void> {
    const scope = ["--uid=test", "--quota-scope=bucket"];
    if (bytes !== undefined) await this.#administer("quota", "set", ...scope, `--max-size=${bytes}`);
    await this.#administer("quota", bytes === undefined ? "disable" : "enable", ...scope);
  }

  /** Frees the memory of objects that were deleted: the gateway leaves that to a thread that does not run here. */
  async removeGarbage(): Promise<void> {
    await this.#administer("gc", "process", "--include-all");
  }

  async startGateway(): Promise<void> {
    this.#gateway = this.#run("radosgw", "-f", "-n", "client.admin");
    await this.#gateway.ready("radosgw", async () => (await fetch(this.url)).ok, 60);
  }

  /** Ends the gateway as a power cut would; it takes seconds to end by itself. */
  async killGateway(): Promise<void> {
    await this.#gateway?.stop("SIGKILL");
  }

  /** The gateway keeps its connections and answers nothing until `thaw`. */
  freeze(): void {
    this.#gateway?.child.kill("SIGSTOP");
  }

  thaw(): void {
    this.#gateway?.child.kill("SIGCONT");
  }

  async stop(): Promise<void> {
    await this.killGateway();
    for (const program of this.#programs.toReversed()) await program.stop("SIGKILL");
    await removeFolder(this.#sockets);
    await removeFolder(this.#folder);
  }

  async #startCluster(): Promise<void> {
    for (const name of ["mon", "osd", "rgw", "log"]) await mkdir(join(this.#folder, name));
    const cluster = randomUUID();
    const monitor = `[v2:${host}:${this.#monitorPort}/0]`;
    const firstPort = await freePort();
    await writeFile(this.#path("ceph.conf"), this.#configuration(cluster, monitor, firstPort));
    const key = (await this.#call("ceph-authtool", "--gen-print-key")).trim();
    await writeFile(this.#path("keyring"), keyring(key));
    await this.#call("monmaptool", "--create", "--clobber", "--fsid", cluster, "--addv", "a", monitor, this.#path("monmap")); // prettier-ignore
    await this.#call("ceph-mon", "--mkfs", "-i", "a", "--monmap", this.#path("monmap"), "--keyring", this.#path("keyring")); // prettier-ignore
    this.#programs.push(this.#run("ceph-mon", "-f", "-i", "a"));
    const store = randomUUID();
    await this.#call("ceph", "osd", "new", store);
    await this.#call("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", store);
    this.#programs.push(this.#run("ceph-osd", "-f", "-i", "0"));
  }

  /** Before the gateway starts: it reads its zone then, and the first command makes it. */
  async #addFirstUser(): Promise<void> {
    const { accessKey, secretKey } = this.account;
    await this.#administer("user", "create", "--uid=test", "--display-name=Test", `--access-key=${accessKey}`, `--secret-key=${secretKey}`); // prettier-ignore
    const { user, password } = this.swiftAccount;
    await this.#administer("subuser", "create", "--uid=test", `--subuser=${user}`, "--access=full", "--key-type=swift", `--secret=${password}`); // prettier-ignore
  }

  async #administer(...args: readonly string[]): Promise<void> {
    await this.#call("radosgw-admin", "-n", "client.admin", ...args);
  }

  async #call(program: string, ...args: readonly string[]): Promise<string> {
    return await command(program, args, { env: this.#environment() });
  }

  #run(program: string, ...args: readonly string[]): Program {
    return new Program(program, args, { env: this.#environment() });
  }

  #environment(): NodeJS.ProcessEnv {
    return { ...process.env, CEPH_CONF: this.#path("ceph.conf") };
  }

  /** What the gateway logs, for a test that fails. */
  async log(): Promise<string> {
    return await readFile(this.#path("log/client.admin.log"), "utf8");
  }

  #path(name: string): string {
    return join(this.#folder, name);
  }

  #configuration(cluster: string, monitor: string, firstPort: number): string {
    return ini({
      global: {
        fsid: cluster,
        "mon host": monitor,
        "mon initial members": "a",
        // Without cephx the gateway never connects.
        "auth cluster required": "cephx",
        "auth service required": "cephx",
        "auth client required": "cephx",
        "auth allow insecure global id reclaim": false,
        keyring: this.#path("keyring"),
        "public addr": host,
        "cluster addr": host,
        "ms bind msgr1": false,
        "ms bind port min": firstPort,
        "ms bind port max": Math.min(firstPort + 200, 65_535),
        "run dir": this.#sockets,
        "admin socket": join(this.#sockets, "$name.$pid.asok"),
        "pid file": "",
        "crash dir": this.#folder,
        "log file": this.#path("log/$name.log"),
        "log to stderr": false,
        "err to stderr": true,
        // One store, one copy, one placement group a pool: there is nothing to wait for.
        "osd pool default size": 1,
        "osd pool default min size": 1,
        "osd pool default pg num": 1,
        "osd pool default pgp num": 1,
        "osd crush chooseleaf type": 0,
        "mon allow pool size one": true,
        "mon max pg per osd": 1000,
        "mon data": this.#path("mon"),
        "mon data avail warn": 1,
        "mon data avail crit": 0,
        "paxos propose interval": 0.05,
        "paxos min wait": 0.01,
        "mon osd prime pg temp": false,
        "osd data": this.#path("osd"),
        "osd objectstore": "memstore",
        "memstore device bytes": 4 * 1024 ** 3,
        "osd op num shards": 2,
        "osd scrub load threshold": 0,
        "rgw data": this.#path("rgw"),
        // Without tcp_nodelay a small answer takes 40 ms.
        "rgw frontends": `beast endpoint=${host}:${this.port} tcp_nodelay=1`,
        "rgw thread pool size": 64,
        "rgw num rados handles": 1,
        "rgw enable usage log": false,
        "rgw enable ops log": false,
        "rgw run sync thread": false,
        "rgw enable lc threads": false,
        "rgw enable gc threads": false,
        "rgw rados pool pg num min": 1,
        "rgw bucket quota ttl": 0,
        "rgw crypt require ssl": false,
        "rgw override bucket index max shards": 1,
      },
    });
  }
}

function keyring(key: string): string {
  return ini({
    "mon.": { key, "caps mon": '"allow *"' },
    "client.admin": { key, "caps mon": '"allow *"', "caps osd": '"allow *"', "caps mgr": '"allow *"' },
    "osd.0": { key, "caps mon": '"allow profile osd"', "caps osd": '"allow *"' },
  });
}
