import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { expect } from "chai";
import { s3Tuning } from "../../../../src/drivers/storage/s3.ts";
import { connect } from "../../../../src/drivers/storage/s3/connect.ts";
import { MachineRole, type Environment } from "../../../../src/drivers/storage/s3/machine-role.ts";
import { s3Schema } from "../../../../src/drivers/storage/s3/options.ts";
import { removeFolder, temporaryFolder, until } from "../../../support/program.ts";
import { rejection } from "../../../support/storage-content.ts";

const roles = "/latest/meta-data/iam/security-credentials/";
const [minute, hour] = [60_000, 3_600_000];

/** What AWS tells a machine; containers are told the same without the first three. */
const toMachine = (life: number, serial = 1) => ({
  Code: "Success",
  LastUpdated: new Date().toISOString(),
  Type: "AWS-HMAC",
  ...toContainer(life, serial),
});
const toContainer = (life: number, serial = 1) => ({
  AccessKeyId: `ASIA${serial}`,
  SecretAccessKey: `its secret ${serial}`,
  Token: `its token ${serial}`,
  Expiration: new Date(Date.now() + life).toISOString().replace(/\.\d+/, ""),
});

describe("the role of a machine of AWS", () => {
  let folder: string;
  let server: Server;
  let url: string;
  /** Whom the server was asked by, with the header that lets them in, or the body. */
  const asked: string[] = [];
  let answers: Record<string, unknown> = {};

  before(async () => {
    folder = await temporaryFolder("role");
    server = createServer((request, response) => {
      void (async () => {
        const { method = "", url: path = "", headers } = request;
        const shown = headers["x-aws-ec2-metadata-token"] ?? headers.authorization ?? (await text(request));
        asked.push(`${method} ${path} ${String(shown)}`.trim());
        const found = answers[`${method} ${path}`];
        response.statusCode = found === undefined ? 404 : 200;
        response.end(typeof found === "string" ? found : JSON.stringify(found));
      })();
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });

  after(async () => {
    server.closeAllConnections();
    server.close();
    await removeFolder(folder);
  });

  beforeEach(() => {
    asked.length = 0;
    answers = {};
  });

  const onMachine = (): Environment => ({ AWS_EC2_METADATA_SERVICE_ENDPOINT: url });
  const giveMachine = (credentials: unknown): void => {
    answers = { "PUT /latest/api/token": "session", [`GET ${roles}`]: "web role\n" };
    answers[`GET ${roles}web%20role`] = credentials;
  };
  const keysOf = async (role: MachineRole) => {
    const { accessKey, secretKey, sessionToken } = await role.getCredentials();
    return [accessKey, secretKey, sessionToken];
  };
  const keys = (serial: number) => [`ASIA${serial}`, `its secret ${serial}`, `its token ${serial}`];

  it("gives its keys once to all who need them", async () => {
    giveMachine(toMachine(hour));
    const role = new MachineRole(onMachine());
    const given = await Promise.all(Array.from({ length: 20 }, async () => await keysOf(role)));
    expect(given).to.deep.equal(Array.from({ length: 20 }, () => keys(1)));
    expect(await keysOf(role)).to.deep.equal(keys(1));
    expect(asked).to.deep.equal(["PUT /latest/api/token", `GET ${roles} session`, `GET ${roles}web%20role session`]);
  });

  it("has new keys before the old ones end, and lets nobody wait for them", async () => {
    giveMachine(toMachine(minute));
    const role = new MachineRole(onMachine());
    await keysOf(role);
    answers = {};
    expect(await keysOf(role), "while there are no new ones").to.deep.equal(keys(1));
    giveMachine(toMachine(hour, 2));
    await until("the new keys", async () => (await keysOf(role))[0] === "ASIA2");
  });

  it("is no longer one when its keys have ended and there are no others", async () => {
    giveMachine(toMachine(0));
    const role = new MachineRole(onMachine());
    await keysOf(role);
    answers = {};
    expect(await rejection(keysOf(role))).to.include({ code: "UNAVAILABLE" });
    giveMachine(toMachine(hour, 2));
    expect(await keysOf(role)).to.deep.equal(keys(2));
  });

  it("gives a container its keys, to whoever shows what is in its file or variable", async () => {
    answers = { "GET /keys?of=task": toContainer(hour) };
    const file = join(folder, "token");
    await writeFile(file, "from the file\n");
    const container = { AWS_CONTAINER_CREDENTIALS_FULL_URI: `${url}/keys?of=task` };
    for (const [given, shown] of [
      [{}, ""],
      [{ AWS_CONTAINER_AUTHORIZATION_TOKEN: "from the variable" }, " from the variable"],
      [{ AWS_CONTAINER_AUTHORIZATION_TOKEN: "x", AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: file }, " from the file"],
    ] as const) {
      expect(await keysOf(new MachineRole({ ...container, ...given }))).to.deep.equal(keys(1));
      expect(asked.pop()).to.equal(`GET /keys?of=task${shown}`);
    }
  });

  it("gives a service account of Kubernetes its keys", async () => {
    const { AccessKeyId, SecretAccessKey, Token, Expiration } = toContainer(hour);
    const credentials = `<AccessKeyId>${AccessKeyId}</AccessKeyId><SecretAccessKey>${SecretAccessKey}</SecretAccessKey><SessionToken>${Token}</SessionToken><Expiration>${Expiration}</Expiration>`;
    answers = {
      "POST /": `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult><Credentials>${credentials}</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`,
    };
    const file = join(folder, "identity");
    await writeFile(file, "who I am\n");
    const environment = {
      AWS_WEB_IDENTITY_TOKEN_FILE: file,
      AWS_ROLE_ARN: "arn:aws:iam::1:role/web",
      AWS_ENDPOINT_URL_STS: url,
    };
    expect(await keysOf(new MachineRole(environment))).to.deep.equal(keys(1));
    const body = new URLSearchParams(asked[0]?.replace("POST / ", ""));
    expect(Object.fromEntries(body)).to.include({
      Action: "AssumeRoleWithWebIdentity",
      RoleArn: environment.AWS_ROLE_ARN,
      WebIdentityToken: "who I am",
    });
  });

  it("is missed with what to do, and why, but not what was told", async () => {
    const refused = async (): Promise<string> => {
      const error = await rejection(keysOf(new MachineRole(onMachine())));
      expect(error).to.include({ code: "REFUSED" });
      expect((error as Error).message).to.match(/set s3_access_key and s3_secret_key, or give this machine a role/);
      return String((error as Error).cause);
    };
    expect(await refused()).to.match(/answers HTTP 404/);
    giveMachine({ Code: "AssumeRoleUnauthorizedAccess", Message: "EC2 cannot assume the role" });
    expect(await refused()).to.contain("AssumeRoleUnauthorizedAccess: EC2 cannot assume the role");
    giveMachine("AccessKeyId=very secret");
    expect(await refused())
      .to.contain("no keys")
      .and.not.contain("secret");
  });

  it("signs what is asked of Amazon where no keys are written", async () => {
    giveMachine(toMachine(hour));
    const settings = s3Schema.parse({ s3_bucket: "images", s3_region: "eu-west-1" });
    const { bucket, transport } = await connect(settings, s3Tuning({}), [], onMachine());
    const { hostname, searchParams } = await bucket.signedUrl("layer", { seconds: 60 });
    expect(hostname).to.equal("images.s3.eu-west-1.amazonaws.com");
    expect(searchParams.get("X-Amz-Credential")).to.match(/^ASIA1\/\d{8}\/eu-west-1\/s3\/aws4_request$/);
    expect(searchParams.get("X-Amz-Security-Token")).to.equal("its token 1");
    transport.close();
  });
});
