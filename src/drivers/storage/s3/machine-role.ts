import { readFile } from "node:fs/promises";
import { IamAwsProvider } from "minio";
import { Credentials } from "minio/dist/esm/Credentials.mjs";
import { z } from "zod";
import { DriverError } from "../errors.ts";
import { textOf } from "./xml.ts";

/** The variables that AWS sets for what runs on its machines, as its own tools read them. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** How long an answer is waited for, in milliseconds: where there is no role, nobody answers at all. */
const patience = 10_000;
/** New keys are asked for so long before the old ones end, in milliseconds; AWS has them by then. */
const margin = 300_000;
/** Keys that end sooner are not used any more: a request may be on its way for a while. */
const leastLeft = 10_000;

/** Keys for a while. */
interface Lease {
  readonly credentials: Credentials;
  /** As `Date.now` counts. */
  readonly end: number;
}

/**
 * The keys of the role that AWS gave to a service account of Kubernetes, a container or a machine, and new ones before they
 * end. What this extends understands neither what containers nor what machines are told; of it only the type is used.
 */
export class MachineRole extends IamAwsProvider {
  readonly #environment: Environment;
  #lease: Lease | undefined;
  #asked: Promise<Lease> | undefined;

  // eslint-disable-next-line no-restricted-globals -- they are AWS's own, and no options of a flavor
  constructor(environment: Environment = process.env) {
    super({});
    this.#environment = environment;
  }

  /**
   * Asks once for all who need keys at the same time, and lets nobody wait as long as the old ones are good. Rejects with
   * REFUSED where there is no role, and with UNAVAILABLE where there was one.
   */
  override async getCredentials(): Promise<Credentials> {
    const held = this.#lease;
    const left = held === undefined ? 0 : held.end - Date.now();
    if (held && left > margin) return held.credentials;
    const renewal = this.#renew();
    if (held && left > leastLeft) {
      // It is tried again at the next request, and whoever needs it then is told.
      renewal.catch(() => undefined);
      return held.credentials;
    }
    try {
      return (await renewal).credentials;
    } catch (cause) {
      if (held) throw new DriverError("UNAVAILABLE", "there are no new keys of this machine's role", { cause });
      const text =
        "there are no keys: set s3_access_key and s3_secret_key, or give this machine a role that may use the bucket";
      throw new DriverError("REFUSED", text, { cause });
    }
  }

  async #renew(): Promise<Lease> {
    this.#asked ??= lease(this.#environment).finally(() => {
      this.#asked = undefined;
    });
    this.#lease = await this.#asked;
    return this.#lease;
  }
}

async function lease(environment: Environment): Promise<Lease> {
  const {
    AWS_WEB_IDENTITY_TOKEN_FILE: identity,
    AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: relative,
    AWS_CONTAINER_CREDENTIALS_FULL_URI: full,
    AWS_EC2_METADATA_SERVICE_ENDPOINT: metadata = "http://169.254.169.254",
  } = environment;
  if (identity) return await ofServiceAccount(identity, environment);
  if (relative) return await ofContainer(new URL(relative, "http://169.254.170.2"), environment);
  if (full) return await ofContainer(new URL(full), environment);
  return await ofMachine(new URL(metadata));
}

/** By the token that Kubernetes keeps in a file (AWS STS, AssumeRoleWithWebIdentity). */
async function ofServiceAccount(file: string, environment: Environment): Promise<Lease> {
  const { AWS_ROLE_ARN: role = "", AWS_ROLE_SESSION_NAME: session = "registryctl" } = environment;
  const region = environment["AWS_REGION"] ?? environment["AWS_DEFAULT_REGION"];
  const host = `sts.${region === undefined ? "" : `${region}.`}amazonaws.com${region?.startsWith("cn-") ? ".cn" : ""}`;
  const body = new URLSearchParams({
    Action: "AssumeRoleWithWebIdentity",
    Version: "2011-06-15",
    RoleArn: role,
    RoleSessionName: session,
    WebIdentityToken: (await readFile(file, "utf8")).trim(),
  });
  const xml = await answer(new URL(environment["AWS_ENDPOINT_URL_STS"] ?? `https://${host}`), { method: "POST", body });
  return leaseOf({
    AccessKeyId: textOf(xml, "AccessKeyId"),
    SecretAccessKey: textOf(xml, "SecretAccessKey"),
    Token: textOf(xml, "SessionToken"),
    Expiration: textOf(xml, "Expiration"),
  });
}

/** By the address that ECS or EKS has told the container. */
async function ofContainer(url: URL, environment: Environment): Promise<Lease> {
  const { AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: file, AWS_CONTAINER_AUTHORIZATION_TOKEN: given } = environment;
  const token = file ? (await readFile(file, "utf8")).trim() : given;
  return leaseOf(parsed(await answer(url, { headers: token ? { authorization: token } : {} })));
}

/** By the metadata of an EC2 instance, version 2. */
async function ofMachine(metadata: URL): Promise<Lease> {
  const session = { "x-aws-ec2-metadata-token-ttl-seconds": "21600" };
  const token = await answer(new URL("/latest/api/token", metadata), { method: "PUT", headers: session });
  const headers = { "x-aws-ec2-metadata-token": token };
  const roles = new URL("/latest/meta-data/iam/security-credentials/", metadata);
  const [role = ""] = (await answer(roles, { headers })).split("\n");
  return leaseOf(parsed(await answer(new URL(encodeURIComponent(role.trim()), roles), { headers })));
}

async function answer(url: URL, request: RequestInit): Promise<string> {
  const response = await fetch(url, { ...request, signal: AbortSignal.timeout(patience) });
  const text = await response.text();
  if (response.ok) return text;
  const why = textOf(text, "Message");
  throw new Error(`${url.host} answers HTTP ${response.status}${why === undefined ? "" : `: ${why}`}`);
}

const told = z.object({
  AccessKeyId: z.string().min(1),
  SecretAccessKey: z.string().min(1),
  Token: z.string().optional(),
  Expiration: z.iso.datetime({ offset: true }).optional(),
});
const refusal = z.object({ Code: z.string(), Message: z.string().optional() });

function leaseOf(value: unknown): Lease {
  const { data, success } = told.safeParse(value);
  if (!success) {
    const { Code: code = "no keys", Message: message = "" } = refusal.safeParse(value).data ?? {};
    throw new Error(`its role is given ${code}${message && `: ${message}`}`);
  }
  const { AccessKeyId: accessKey, SecretAccessKey: secretKey, Token: sessionToken, Expiration: end } = data;
  return {
    credentials: new Credentials({ accessKey, secretKey, ...(sessionToken !== undefined && { sessionToken }) }),
    end: end === undefined ? Infinity : Date.parse(end),
  };
}

/** What is no JSON is not told: there may be keys in it. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
