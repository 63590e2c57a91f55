import { randomUUID } from "node:crypto";
import type { Context } from "mocha";
import { swiftSchema, type SwiftSettings } from "../../src/drivers/storage/swift/options.ts";
import { Keystone, type KeystoneUser } from "./keystone.ts";
import { RadosGateway } from "./radosgw.ts";
import { SwiftServer, type SwiftAuthentication } from "./swift.ts";

/** A server of the test's own that speaks Swift's protocol. */
export interface SwiftCloud {
  readonly port: number;
  /** What the driver is opened with, for a container that is not there yet; through another port where a proxy listens there. */
  settings(port?: number): SwiftSettings;
  stop(): Promise<void>;
}

/** A container that no other test uses. */
export function newContainer(): string {
  return `images ${randomUUID()}`;
}

function settingsOf(options: object): SwiftSettings {
  return swiftSchema.parse({ swift_container: newContainer(), ...options });
}

/** Swift with users of its own: version 1 of authentication. */
export async function startSwift(context: Context): Promise<SwiftCloud & { readonly server: SwiftServer }> {
  const server = await SwiftServer.start(context);
  return withOwnUsers(server, server.account.accessKey, server.account.secretKey);
}

/**
 * Swift that has tokens checked by Keystone: version 3 of authentication. Where it doesn't ask always, it takes revoked
 * tokens for a while, and is much faster.
 */
export async function startSwiftWithKeystone(
  context: Context,
  {
    tokenSeconds,
    asksAlways = false,
    listingLimit,
  }: { readonly tokenSeconds?: number; readonly asksAlways?: boolean; readonly listingLimit?: number } = {},
): Promise<SwiftCloud & { readonly keystone: Keystone; readonly server: SwiftServer }> {
  const keystone = await Keystone.start(context, tokenSeconds);
  try {
    const server = await SwiftServer.start(context, await checkedBy(keystone, asksAlways), listingLimit);
    const url = (port: number): string => `http://${server.host}:${port}/v1/AUTH_`;
    await keystone.register("object-store", `${url(server.port)}%(project_id)s`);
    const project = await keystone.projectId();
    return {
      keystone,
      server,
      port: server.port,
      settings: (port) =>
        settingsOf({
          ...keystoneSettings(keystone),
          ...(port !== undefined && { swift_object_storage_url: url(port) + project }),
        }),
      stop: async () => {
        await server.stop();
        await keystone.stop();
      },
    };
  } catch (error) {
    await keystone.stop();
    throw error;
  }
}

/** The options that say who asks, of a user that Keystone knows. */
export function keystoneSettings(keystone: Keystone, user: KeystoneUser = keystone.user) {
  return {
    swift_authurl: keystone.authUrl,
    swift_user: user.name,
    swift_password: user.password,
    swift_tenant_name: user.project,
    swift_region_name: keystone.region,
    swift_user_domain_name: user.domain,
    swift_project_domain_name: user.domain,
  } as const;
}

/** Ceph's gateway, by Swift's protocol. */
export async function startCeph(context: Context): Promise<SwiftCloud & { readonly server: RadosGateway }> {
  const server = await RadosGateway.start(context);
  return withOwnUsers(server, server.swiftAccount.user, server.swiftAccount.password);
}

function withOwnUsers<Server extends SwiftServer | RadosGateway>(
  server: Server,
  user: string,
  password: string,
): SwiftCloud & { readonly server: Server } {
  return {
    server,
    port: server.port,
    settings: (port = server.port) =>
      settingsOf({
        swift_authurl: `http://${server.host}:${port}/auth/v1.0`,
        swift_user: user,
        swift_password: password,
      }),
    stop: async () => {
      await server.stop();
    },
  };
}

async function checkedBy(keystone: Keystone, asksAlways: boolean): Promise<SwiftAuthentication> {
  return {
    pipeline: ["authtoken", "keystoneauth"],
    filters: {
      "filter:authtoken": {
        "paste.filter_factory": "keystonemiddleware.auth_token:filter_factory",
        ...(await keystone.serviceSettings()),
        ...(!asksAlways && { token_cache_time: 300, cache: "swift.cache" }),
        delay_auth_decision: true,
        include_service_catalog: false,
      },
      "filter:keystoneauth": {
        use: "egg:swift#keystoneauth",
        reseller_prefix: "AUTH",
        operator_roles: "admin, member",
      },
    },
  };
}
