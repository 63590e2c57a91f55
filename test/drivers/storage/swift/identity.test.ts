import { createServer as createTls } from "node:https";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { request as overHttp, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { expect } from "chai";
import { DriverError } from "../../../../src/drivers/storage/errors.ts";
import { connectIdentity } from "../../../../src/drivers/storage/openstack/identity.ts";
import type { IdentitySettings } from "../../../../src/drivers/storage/openstack/options.ts";
import { openSwift } from "../../../../src/drivers/storage/swift.ts";
import { probeStorage } from "../../../../src/server/storage-probe.ts";
import { selfSigned } from "../../../support/certificate.ts";
import { endOfSuite } from "../../../support/end-of-suite.ts";
import { Keystone } from "../../../support/keystone.ts";
import { needs } from "../../../support/needs.ts";
import { removeFolder, temporaryFolder, until } from "../../../support/program.ts";
import { bytesOf, put, rejection } from "../../../support/storage-content.ts";
import { keystoneSettings, startSwiftWithKeystone, type SwiftCloud } from "../../../support/swift-cloud.ts";
import { TcpProxy } from "../../../support/tcp-proxy.ts";

describe("who asks OpenStack", function () {
  this.timeout(180_000);
  const atEnd = endOfSuite();
  let cloud: SwiftCloud;
  let keystone: Keystone;
  let proxy: TcpProxy;

  before(async function () {
    const started = await startSwiftWithKeystone(this, { asksAlways: true, tokenSeconds: 600 });
    cloud = started;
    ({ keystone } = started);
    atEnd(() => started.stop());
    proxy = await TcpProxy.start(keystone.port);
    atEnd(() => proxy.stop());
  });

  beforeEach(() => {
    proxy.requests.length = 0;
  });

  const settings = (changed: object = {}): IdentitySettings => ({ ...keystoneSettings(keystone), ...changed });
  const throughProxy = (path = "/v3"): string => `http://127.0.0.1:${proxy.port}${path}`;
  const asked = (): number => proxy.requests.filter((line) => line === "POST /v3/auth/tokens").length;
  const refusal = async (changed: object): Promise<string> => {
    const identity = await connectIdentity(settings(changed));
    const error = await rejection(identity.endpoint("object-store"));
    await identity.close();
    expect(error).to.be.instanceOf(DriverError).and.to.include({ code: "REFUSED" });
    return String(error);
  };

  for (const [what, changed] of [
    ["its URL names it", {}],
    ["the server has to say", { path: "/" }],
    ["it is set, whatever the URL names", { path: "/v2.0", swift_auth_version: 3 }],
  ] as const) {
    it(`gets a token of version 3 where ${what}`, async () => {
      const { path = "/v3", ...others } = { path: undefined, ...changed };
      const identity = await connectIdentity(settings({ swift_authurl: throughProxy(path), ...others }));
      expect(await keystone.isValid(await identity.token())).to.be.true;
      expect((await identity.endpoint("object-store")).href).to.match(/\/v1\/AUTH_[0-9a-f]{32}$/);
      expect(asked()).to.equal(1);
      await identity.close();
    });
  }

  it("takes the domain default where none is named, and the project before the user's name", async () => {
    const { swift_tenant_name: project, swift_user: user } = keystoneSettings(keystone);
    const bare = { swift_user_domain_name: undefined, swift_project_domain_name: undefined };
    for (const changed of [bare, { ...bare, swift_tenant_name: undefined, swift_user: `${project}:${user}` }]) {
      const identity = await connectIdentity(settings(changed));
      expect(await keystone.isValid(await identity.token())).to.be.true;
      await identity.close();
    }
  });

  it("asks once for all who need a token at the same time, and once for all who were refused", async () => {
    const identity = await connectIdentity(settings({ swift_authurl: throughProxy() }));
    const tokens = await Promise.all(Array.from({ length: 20 }, async () => await identity.token()));
    expect(new Set(tokens).size).to.equal(1);
    expect(asked()).to.equal(1);
    await Promise.all(Array.from({ length: 20 }, async () => await identity.renew(tokens[0] ?? "")));
    await identity.renew(tokens[0] ?? "");
    expect(asked()).to.equal(2);
    await identity.close();
  });

  it("asks anew before a token expires", async function () {
    const short = await Keystone.start(this, 10);
    try {
      const identity = await connectIdentity(keystoneSettings(short));
      const first = await identity.token();
      const second = await until("another token", async () => {
        const token = await identity.token();
        return token === first ? undefined : token;
      });
      expect(await short.isValid(second)).to.be.true;
      await identity.close();
    } finally {
      await short.stop();
    }
  });

  it("goes on when a service refuses its token, and asks for another one once", async () => {
    const driver = await openSwift({ ...cloud.settings(), swift_authurl: throughProxy() });
    await put(driver, "key", "content");
    await keystone.revokeTokens();
    proxy.requests.length = 0;
    const read = await Promise.all(Array.from({ length: 8 }, async () => String(await bytesOf(driver, "key"))));
    expect(new Set(read)).to.deep.equal(new Set(["content"]));
    expect(asked()).to.equal(1);
    await driver.close();
  });

  it("is told which option is wrong, and never a secret", async () => {
    expect(await refusal({ swift_password: "not the word" })).to.match(/correct swift_user, swift_password/).and.not.contain("not the word"); // prettier-ignore
    expect(await refusal({ swift_tenant_name: "nobody's" })).to.match(/swift_tenant_name/);
    expect(await refusal({ swift_user_domain_name: "nowhere" })).to.match(/domains/);
    expect(await refusal({ swift_region_name: "Elsewhere" })).to.match(/set swift_region_name to RegionOne/);
    expect(await refusal({ swift_auth_version: 2 })).to.match(/correct swift_authurl or swift_auth_version/);
    expect(await refusal({ swift_authurl: `${keystone.url}/nothing` })).to.match(/set swift_auth_version/);
    expect(await refusal({ swift_tenant_name: undefined })).to.match(/swift_tenant_name is not set/);
    for (const option of ["swift_authurl", "swift_user", "swift_password"]) {
      expect(String(await rejection(connectIdentity(settings({ [option]: undefined }))))).to.contain(`${option} is not set`); // prettier-ignore
    }
  });

  it("has every right that a registry needs as a member of the project, and none as a reader", async () => {
    const driver = await openSwift(cloud.settings());
    expect(await probeStorage(driver, true)).to.match(/^it can write, .*write in parts, .*signed URLs, delete$/);
    await driver.close();
    const reader = keystoneSettings(keystone, await keystone.newUser("reader"));
    const error = await rejection(openSwift({ ...cloud.settings(), ...reader }));
    expect(error).to.include({ code: "REFUSED" });
    expect(String(error)).to.match(/does not let swift_user .* the container .*: give swift_user a role/);
  });

  it("speaks HTTPS with a server whose authority swift_cacert names, and with no other", async function () {
    needs(this, "openssl");
    const folder = await temporaryFolder("swift-tls");
    const { certificate, key } = await selfSigned(folder, "keystone");
    const front = createTls({ cert: await readFile(certificate), key: await readFile(key) }, forward(keystone.port));
    front.listen(0, "127.0.0.1");
    await once(front, "listening");
    const authUrl = `https://127.0.0.1:${(front.address() as AddressInfo).port}/v3`;
    try {
      expect(await refusal({ swift_authurl: authUrl })).to.match(/name its authority by swift_cacert/);
      const missing = { swift_authurl: authUrl, swift_cacert: join(folder, "missing.pem") };
      expect(String(await rejection(connectIdentity(settings(missing))))).to.contain("swift_cacert can't be read");
      const identity = await connectIdentity(settings({ swift_authurl: authUrl, swift_cacert: certificate }));
      expect(await keystone.isValid(await identity.token())).to.be.true;
      await identity.close();
    } finally {
      front.closeAllConnections();
      front.close();
      await removeFolder(folder);
    }
  });
});

/** Passes requests on to a server of this machine that speaks HTTP. */
function forward(port: number) {
  return (incoming: IncomingMessage, answer: ServerResponse): void => {
    const { method, headers, url } = incoming;
    const outgoing = overHttp({ host: "127.0.0.1", port, path: url, method, headers }, (response) => {
      response.pipe(answer.writeHead(response.statusCode ?? 500, response.headers));
    });
    incoming.pipe(outgoing);
  };
}
