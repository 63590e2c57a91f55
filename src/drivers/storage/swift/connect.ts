import { connectIdentity } from "../openstack/identity.ts";
import { Requests } from "../openstack/requests.ts";
import type { Tuning } from "../s3/object-bucket.ts";
import { meaningOfSwift } from "./failure.ts";
import { SwiftObjects } from "./objects.ts";
import type { SwiftSettings } from "./options.ts";

/** Makes what the driver speaks through, of what the operator has written; asks the server nothing yet. */
export async function connectSwift(settings: SwiftSettings, tuning: Tuning): Promise<SwiftObjects> {
  const given = { "object-store": settings.swift_object_storage_url };
  const identity = await connectIdentity(settings, { given, tuning });
  const requests = new Requests({ identity, service: "object-store", attempts: tuning, meaning: meaningOfSwift });
  const prefix = settings.storage_path.split("/").filter((part) => part !== "").join("/"); // prettier-ignore
  return new SwiftObjects({ identity, requests, container: settings.swift_container, prefix, tuning });
}
