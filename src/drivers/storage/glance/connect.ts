import { connectIdentity, type Identity, type IdentityTuning } from "../openstack/identity.ts";
import { Requests } from "../openstack/requests.ts";
import { meaning } from "./failure.ts";
import { Images } from "./images.ts";
import type { GlanceSettings } from "./options.ts";

/** What the driver's requests depend on beside what the operator says; tests choose other values. */
export interface ConnectionTuning extends IdentityTuning {
  /** Images asked for by one listing; Glance itself gives a thousand at most. */
  readonly pageSize: number;
}

/** Makes what the driver speaks through; asks nothing yet. REFUSED when the settings don't say who asks. */
export async function connect(
  settings: GlanceSettings,
  { pageSize, ...tuning }: ConnectionTuning,
): Promise<{ readonly images: Images; readonly identity: Identity }> {
  const own = await connectIdentity(settings, { given: { image: settings.glance_url }, tuning });
  const identity: Identity = {
    transport: own.transport,
    token: async () => await own.token(),
    renew: async (stale) => await own.renew(stale),
    project: async () => await own.project(),
    endpoint: async (type) => withoutVersion(await own.endpoint(type)),
    close: async () => {
      await own.close();
    },
  };
  const { attempts, delay } = tuning;
  const requests = new Requests({ identity, service: "image", attempts: { attempts, delay }, meaning });
  return { images: new Images(requests, async () => await own.project(), pageSize), identity };
}

/** Catalogs have the version in the URL, or haven't. */
function withoutVersion(url: URL): URL {
  url.pathname = url.pathname.replace(/\/v\d+(\.\d+)?$/, "");
  return url;
}
