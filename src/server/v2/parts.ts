import type { Doorkeeper } from "../access/doorkeeper.ts";
import type { SharedCatalog } from "../registry/bridge/shared-catalog.ts";
import type { ManifestStore } from "../registry/manifests.ts";
import type { TagStore } from "../registry/oci-tags.ts";
import type { ReferrerStore } from "../registry/referrers.ts";
import type { BlobParts } from "./blobs.ts";
import type { TokenParts } from "./token.ts";
import type { UploadParts } from "./uploads.ts";

/** What the V2 protocol is served from. */
export interface V2Parts extends BlobParts, UploadParts {
  readonly manifests: ManifestStore;
  readonly ociTags: TagStore;
  readonly referrers: ReferrerStore;
  readonly catalog: SharedCatalog;
  readonly doorkeeper: Doorkeeper;
  /** Who is not told that this registry speaks V2. */
  readonly v1UserAgents: RegExp;
  /** How tokens are given here; undefined where they are not. */
  readonly tokens: Omit<TokenParts, "doorkeeper" | "idleTimeout"> | undefined;
}
