import type { Context } from "mocha";
import { expect } from "chai";
import { connectIdentity } from "../../../../src/drivers/storage/openstack/identity.ts";
import { openSwift } from "../../../../src/drivers/storage/swift.ts";
import type { SwiftSettings } from "../../../../src/drivers/storage/swift/options.ts";
import { probeStorage } from "../../../../src/server/storage-probe.ts";
import { describeBucketFailures, failure } from "../../../support/bucket-failures.ts";
import { endOfSuite } from "../../../support/end-of-suite.ts";
import { outcome, put, rejection } from "../../../support/storage-content.ts";
import { startCeph, startSwift, type SwiftCloud } from "../../../support/swift-cloud.ts";
import type { SwiftServer } from "../../../support/swift.ts";
import { TcpProxy } from "../../../support/tcp-proxy.ts";

/** A cloud whose server can be killed. */
interface Mortal {
  readonly cloud: SwiftCloud;
  readonly kill: () => Promise<void>;
  readonly restart: () => Promise<void>;
}

const dialects: Readonly<Record<string, (context: Context) => Promise<Mortal>>> = {
  "swift on Swift": async (context) => {
    const cloud = await startSwift(context);
    return { cloud, kill: () => cloud.server.kill(), restart: () => cloud.server.restart() };
  },
  "swift on Ceph": async (context) => {
    const cloud = await startCeph(context);
    return { cloud, kill: () => cloud.server.killGateway(), restart: () => cloud.server.startGateway() };
  },
};

/** Beside what other stores need, each looks for parts of what is replaced or goes. */
const requests = { copy: 3, move: 6, put: 2 };

for (const [name, start] of Object.entries(dialects)) {
  describeBucketFailures(name, async (context, atEnd) => {
    const { cloud, kill, restart } = await start(context);
    atEnd(() => cloud.stop());
    const proxy = await TcpProxy.start(cloud.port);
    atEnd(() => proxy.stop());
    const settings = cloud.settings(proxy.port);
    return { proxy, open: async (tuning) => await openSwift(settings, tuning), kill, restart, requests };
  });
}

describe("swift that may not", function () {
  this.timeout(180_000);
  const atEnd = endOfSuite();
  let settings: SwiftSettings;
  let server: SwiftServer;

  before(async function () {
    const cloud = await startSwift(this);
    atEnd(() => cloud.stop());
    ({ server } = cloud);
    settings = cloud.settings();
  });

  it("is refused when its password is another's, without telling it", async () => {
    const { code, message } = await failure(openSwift({ ...settings, swift_password: "some-other-secret" }));
    expect(code).to.equal("REFUSED");
    expect(message)
      .to.match(/correct swift_user, swift_password/)
      .and.not.contain("some-other");
  });

  it("is refused when its user has no rights, and says which", async () => {
    const { accessKey, secretKey } = server.reader;
    const user = { swift_user: accessKey, swift_password: secretKey };
    const { code, message } = await failure(openSwift({ ...settings, ...user }));
    expect(code).to.equal("REFUSED");
    expect(message)
      .to.match(/does not let swift_user .* the container .*: give swift_user a role/)
      .and.not.contain(secretKey);
  });

  it("gives clients no URLs where it may not read or set the keys that sign them", async () => {
    const owner = await openSwift(settings);
    await put(owner, "layer", "0123456789");
    const { accessKey, secretKey } = server.reader;
    const identity = await connectIdentity(settings);
    const account = (await identity.endpoint("object-store")).href;
    const container = `${account}/${encodeURIComponent(settings.swift_container)}`;
    const headers = { "x-auth-token": await identity.token(), "x-container-read": accessKey };
    expect((await fetch(container, { method: "POST", headers })).status).to.equal(204);
    await identity.close();
    const reader = await openSwift({
      ...settings,
      swift_user: accessKey,
      swift_password: secretKey,
      swift_object_storage_url: account,
    });
    expect(await reader.redirectUrl("layer", { seconds: 60 })).to.equal(undefined);
    expect(await outcome(reader.stat("layer"))).to.equal("done");
    expect(String(await rejection(probeStorage(reader, false)))).to.match(
      /it can't write: .*does not let swift_user .*give swift_user a role/,
    );
    const writing = { ...headers, "x-container-read": "", "x-container-write": accessKey };
    expect((await fetch(container, { method: "POST", headers: writing })).status).to.equal(204);
    expect(String(await rejection(probeStorage(reader, false)))).to.match(/does not let swift_user read /);
    await reader.close();
    await owner.close();
  });
});
