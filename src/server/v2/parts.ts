import type { Access } from "../access/v1-access.ts";
import type { SharedCatalog } from "../registry/bridge/shared-catalog.ts";
import type { ManifestStore } from "../registry/manifests.ts";
import type { TagStore } from "../registry/oci-tags.ts";
import type { Referrers } from "../registry/referrers.ts";
import type { BlobParts } from "./blobs.ts";
import type { UploadParts } from "./uploads.ts";

/** What the V2 protocol is served from. */
export interface V2Parts extends BlobParts, UploadParts {
  readonly manifests: ManifestStore;
  readonly ociTags: TagStore;
  readonly referrers: Referrers;
  readonly catalog: SharedCatalog;
  readonly access: Access;
}
