import type { Access } from "../auth/access.ts";
import type { Catalog } from "../registry/catalog.ts";
import type { Manifests } from "../registry/manifests.ts";
import type { OciTags } from "../registry/oci-tags.ts";
import type { Referrers } from "../registry/referrers.ts";
import type { BlobParts } from "./blobs.ts";
import type { UploadParts } from "./uploads.ts";

/** What the V2 protocol is served from. */
export interface V2Parts extends BlobParts, UploadParts {
  readonly manifests: Manifests;
  readonly ociTags: OciTags;
  readonly referrers: Referrers;
  readonly catalog: Catalog;
  readonly access: Access;
}
