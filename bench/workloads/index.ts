import type { Scale } from "../scale.ts";
import { stores } from "../stores/index.ts";
import { s3 } from "../stores/s3.ts";
import { downloadsOf } from "./downloads.ts";
import { lifecycle } from "./lifecycle.ts";
import { listings } from "./listings.ts";
import { manifestReads } from "./manifests.ts";
import { mixed } from "./mixed.ts";
import { largePushes, smallPushes } from "./pushes.ts";
import { skopeoCopies } from "./skopeo.ts";
import { storeGroup, storeRedirects } from "./stores.ts";
import { v1Layers } from "./v1.ts";
import type { Group } from "./workload.ts";
import { wrongLogins } from "./wrong-logins.ts";

/** Everything that is measured, in the order of the table. */
export function groups(scale: Scale): readonly Group[] {
  return [
    lifecycle(),
    manifestReads(scale),
    downloadsOf(scale),
    downloadsOf(scale, "proxy"),
    downloadsOf(scale, "offload"),
    largePushes(scale),
    smallPushes(scale),
    listings(scale),
    mixed(scale),
    skopeoCopies(scale),
    v1Layers(scale),
    wrongLogins(scale),
    ...stores.map((store) => storeGroup(store, scale)),
    storeRedirects(s3, scale),
  ];
}
