import type { Context } from "mocha";
import type { Client } from "minio";
import { needs } from "./needs.ts";
import { Nginx } from "./nginx.ts";
import { freePort, removeFolder, temporaryFolder, type Program } from "./program.ts";
import { RadosGateway } from "./radosgw.ts";
import { s3Client, type S3Account, type S3Server } from "./s3-server.ts";

/** Names of objects that the gate takes for too large to be copied by one request end so. */
export const tooLarge = "too-large";

/**
 * Google's XML API with HMAC keys, as far as it can be had without Google: a Ceph gateway, which checks the signatures, and
 * an nginx before it that refuses what Google lacks.
 */
export class GoogleGate implements S3Server {
  /** What it is made of. */
  static readonly programs = ["nginx", ...RadosGateway.programs];
  readonly host = "127.0.0.1";
  readonly region = "auto";
  readonly port: number;
  readonly gateway: RadosGateway;
  readonly folder: string;
  #nginx: Program | undefined;

  private constructor(gateway: RadosGateway, folder: string, port: number) {
    this.gateway = gateway;
    this.folder = folder;
    this.port = port;
  }

  /** Skips the suite when Ceph or nginx is not installed. */
  static async start(context: Context): Promise<GoogleGate> {
    needs(context, ...GoogleGate.programs);
    return await GoogleGate.launch();
  }

  /** As `start`, where both are known to be installed. */
  static async launch(): Promise<GoogleGate> {
    const gateway = await RadosGateway.launch();
    const gate = new GoogleGate(gateway, await temporaryFolder("gcs-gate"), await freePort());
    try {
      const url = `http://127.0.0.1:${gate.port}`;
      gate.#nginx = await new Nginx(gate.folder).start(refusals(gate.port, gateway.port), async () => await fetch(url));
    } catch (error) {
      await gate.stop();
      throw error;
    }
    return gate;
  }

  get account(): S3Account {
    return this.gateway.account;
  }

  client(account = this.account): Client {
    return s3Client(this, account);
  }

  async newBucket(): Promise<string> {
    return await this.gateway.newBucket();
  }

  /** Ends what is behind the gate as a power cut would. */
  async kill(): Promise<void> {
    await this.gateway.killGateway();
  }

  async restart(): Promise<void> {
    await this.gateway.startGateway();
  }

  async stop(): Promise<void> {
    await this.#nginx?.stop();
    await this.gateway.stop();
    await removeFolder(this.folder);
  }
}

/** The options of a flavor that keeps its images in `bucket` behind the gate. */
export function gateSettings(gate: GoogleGate, bucket: string, port = gate.port) {
  return {
    storage: "gcs",
    storage_path: "/registry",
    boto_bucket: bucket,
    gs_access_key: gate.account.accessKey,
    gs_secret_key: gate.account.secretKey,
    gs_secure: false,
    oauth2: false,
    boto_host: gate.host,
    boto_port: port,
    boto_debug: 0,
  } as const;
}

function refusals(port: number, target: number): string {
  const error = (status: number, code: string, message: string): string =>
    `default_type application/xml; return ${status} "<?xml version='1.0' encoding='UTF-8'?><Error><Code>${code}</Code><Message>${message}</Message></Error>";`;
  return `
    map "$request_method $args" $unknown {
      default 0;
      "~^POST (.*&)?delete(=|&|$)" 1;
      "~^(GET|PUT|DELETE) (.*&)?(tagging|policy)(=|&|$)" 1;
    }
    map "$http_x_amz_copy_source|$args" $part_copy { default 0; "~^[^|]+\\|.*partNumber=" 1; }
    map "$http_x_amz_copy_source" $large { default 0; "~${tooLarge}$" 1; }
    map "$unknown$part_copy$http_x_amz_server_side_encryption" $lacks { default 1; "00" 0; }
    server {
      listen 127.0.0.1:${port}; client_max_body_size 0;
      proxy_request_buffering off; proxy_buffering off; proxy_http_version 1.1;
      location / {
        if ($lacks) { return 501; }
        if ($large) { return 413; }
        proxy_set_header Host $http_host; proxy_set_header Connection '';
        proxy_pass http://127.0.0.1:${target};
      }
      error_page 501 @lacks; error_page 413 @large;
      location @lacks { ${error(501, "NotImplemented", "A header or query you provided requested a function that is not implemented.")} }
      location @large { ${error(413, "EntityTooLarge", "The object exceeds the maximum allowable size of a copy.")} }
    }
  `;
}
