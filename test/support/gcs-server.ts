import { generateKeyPairSync, randomUUID } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Permission } from "./gcs/buckets.ts";
import { compiled } from "./compiled.ts";
import { freePort, Program, removeFolder, temporaryFolder } from "./program.ts";

const program = new URL("./gcs/server.ts", import.meta.url);
const everything: readonly Permission[] = ["get", "list", "create", "delete"];

/** The key file of a service account, and who that is. */
export interface ServiceAccount {
  readonly email: string;
  readonly keyFile: string;
}

/** A client that a user has given access to. */
export interface UserClient {
  readonly email: string;
  readonly id: string;
  readonly secret: string;
  readonly refreshToken: string;
}

/** A server of the test's own that speaks Google's JSON API as far as a driver needs it, and refuses what Google refuses. */
export class GoogleServer {
  readonly port: number;
  readonly folder: string;
  readonly #told: (readonly [string, object])[] = [];
  #program: Program | undefined;

  private constructor(folder: string, port: number) {
    this.folder = folder;
    this.port = port;
  }

  static async start(): Promise<GoogleServer> {
    const server = new GoogleServer(await temporaryFolder("gcs"), await freePort());
    await server.restart();
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get tokenUri(): string {
    return `${this.url}/token`;
  }

  /** Starts it again after `kill`, with its accounts and buckets, but without objects. */
  async restart(): Promise<void> {
    this.#program = new Program(process.execPath, [...compiled(program), String(this.port)]);
    await this.#program.ready("the server of Google's API", async () => (await fetch(this.url)).status === 404);
    for (const [what, said] of this.#told) await this.#send(what, said);
  }

  async newBucket(): Promise<string> {
    const bucket = `bucket-${randomUUID()}`;
    await this.#tell("bucket", { bucket });
    return bucket;
  }

  /** Makes a bucket, and an account that may do everything with its objects. */
  async newStore(): Promise<{ readonly bucket: string; readonly account: ServiceAccount }> {
    const [bucket, account] = [await this.newBucket(), await this.newAccount()];
    await this.grant(bucket, account);
    return { bucket, account };
  }

  /** Makes a service account, which may do nothing yet. */
  async newAccount(name = `service-${randomUUID().slice(0, 8)}`): Promise<ServiceAccount> {
    const { publicKey, privateKey } = generateKeyPairSync("rsa", {
      modulusLength: 2048,
      publicKeyEncoding: { type: "spki", format: "pem" },
      privateKeyEncoding: { type: "pkcs8", format: "pem" },
    });
    const email = `${name}@test.iam.gserviceaccount.com`;
    await this.#tell("account", { account: { email, publicKey } });
    const keyFile = join(this.folder, `${name}.json`);
    const content = {
      type: "service_account",
      project_id: "test",
      private_key_id: randomUUID(),
      private_key: privateKey,
      client_email: email,
      token_uri: this.tokenUri,
    };
    await writeFile(keyFile, JSON.stringify(content));
    return { email, keyFile };
  }

  /** Makes a user, who has given a client access. */
  async newUser(): Promise<UserClient> {
    const user = { email: "user@example.com", id: randomUUID(), secret: randomUUID(), refreshToken: randomUUID() };
    const { email, ...client } = user;
    await this.#tell("account", { account: { email, client } });
    return user;
  }

  async grant(bucket: string, { email }: { readonly email: string }, permissions = everything): Promise<void> {
    await this.#tell("grant", { bucket, email, permissions });
  }

  /** Makes tokens that are given out from now on valid for so many seconds. */
  async setValidity(seconds: number): Promise<void> {
    await this.#tell("validity", { number: seconds });
  }

  /** Takes at most so many bytes of each piece of an upload. */
  async takeAtMost(bytes: number | undefined): Promise<void> {
    await this.#tell("most", { number: bytes });
  }

  /** Takes back all tokens. */
  async revoke(): Promise<void> {
    await this.#send("revoke", {});
  }

  /** How many uploads have begun and were not cancelled. */
  async uploads(): Promise<number> {
    return ((await (await fetch(`${this.url}/-/sessions`)).json()) as { readonly count: number }).count;
  }

  async kill(): Promise<void> {
    await this.#program?.stop("SIGKILL");
  }

  async stop(): Promise<void> {
    await this.kill();
    await removeFolder(this.folder);
  }

  async #tell(what: string, said: object): Promise<void> {
    this.#told.push([what, said]);
    await this.#send(what, said);
  }

  async #send(what: string, said: object): Promise<void> {
    const answer = await fetch(`${this.url}/-/${what}`, { method: "POST", body: JSON.stringify(said) });
    if (!answer.ok) throw new Error(await answer.text());
  }
}

/** The options of a flavor that keeps its images in `bucket` there, as that account. */
export function googleSettings(server: GoogleServer, bucket: string, account: ServiceAccount, port = server.port) {
  return {
    storage: "gcs",
    storage_path: "/registry",
    boto_bucket: bucket,
    oauth2: true,
    gs_service_key_file: account.keyFile,
    gs_secure: false,
    boto_host: "127.0.0.1",
    boto_port: port,
    boto_debug: 0,
  } as const;
}
