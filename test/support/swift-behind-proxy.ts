import type { Context } from "mocha";
import { connectIdentity } from "../../src/drivers/storage/openstack/identity.ts";
import { Requests } from "../../src/drivers/storage/openstack/requests.ts";
import { Container } from "../../src/drivers/storage/swift/container.ts";
import { meaningOfSwift } from "../../src/drivers/storage/swift/failure.ts";
import type { SwiftSettings } from "../../src/drivers/storage/swift/options.ts";
import type { endOfSuite } from "./end-of-suite.ts";
import { startSwift } from "./swift-cloud.ts";
import { TcpProxy } from "./tcp-proxy.ts";

export interface SwiftBehindProxy {
  readonly proxy: TcpProxy;
  readonly settings: SwiftSettings;
  /** The driver's objects, as the server has them. */
  readonly objects: Container;
  /** The parts of large objects, and what is pending of them. */
  readonly segments: Container;
}

/** A Swift that is reached through a proxy, until the suite ends. */
export async function swiftBehindProxy(
  context: Context,
  atEnd: ReturnType<typeof endOfSuite>,
): Promise<SwiftBehindProxy> {
  const cloud = await startSwift(context);
  atEnd(() => cloud.stop());
  const proxy = await TcpProxy.start(cloud.port);
  atEnd(() => proxy.stop());
  const settings = cloud.settings(proxy.port);
  const identity = await connectIdentity(settings);
  atEnd(() => identity.close());
  const attempts = { attempts: 1, delay: 1 };
  const requests = new Requests({ identity, service: "object-store", attempts, meaning: meaningOfSwift });
  return {
    proxy,
    settings,
    objects: new Container(requests, settings.swift_container, "registry"),
    segments: new Container(requests, `${settings.swift_container}_segments`, "registry"),
  };
}
