import type { StorageDriver } from "../../drivers/storage/driver.ts";
import type { Events } from "./events.ts";
import { Blobs } from "./blobs.ts";
import { LayerFacts } from "./bridge/layer-facts.ts";
import { Catalog } from "./catalog.ts";
import { Documents } from "./documents.ts";
import { FileLists } from "./file-lists.ts";
import { ImagePush } from "./image-push.ts";
import { Images } from "./images.ts";
import type { LayerAnalysis } from "./layers/analysis.ts";
import { LinkedBlobs } from "./linked-blobs.ts";
import { Manifests } from "./manifests.ts";
import { OciTags } from "./oci-tags.ts";
import { Referrers } from "./referrers.ts";
import { Repositories } from "./repositories.ts";
import { Tags } from "./tags.ts";
import { Uploads, type UploadLimits } from "./uploads.ts";

/** The core: what a registry holds and the rules by which it changes. Knows no protocol and no particular storage. */
export interface Registry {
  readonly blobs: Blobs;
  readonly images: Images;
  readonly push: ImagePush;
  readonly fileLists: FileLists;
  readonly layerFacts: LayerFacts;
  readonly repositories: Repositories;
  readonly tags: Tags;
  readonly linkedBlobs: LinkedBlobs;
  readonly uploads: Uploads;
  readonly manifests: Manifests;
  readonly ociTags: OciTags;
  readonly referrers: Referrers;
  readonly catalog: Catalog;
}

/** What the core works with. Whoever gives these closes them. */
export interface RegistryParts {
  readonly driver: StorageDriver;
  readonly events: Events;
  readonly analysis: LayerAnalysis;
  readonly limits: UploadLimits;
  readonly allowSparseIndexes?: boolean;
}

/** Puts the core together. */
export function createRegistry(parts: RegistryParts): Registry {
  const { driver, events, analysis, limits, allowSparseIndexes = false } = parts;
  const documents = new Documents(driver);
  const blobs = new Blobs(driver);
  const images = new Images(driver, documents);
  const layerFacts = new LayerFacts({ driver, documents, blobs, analysis });
  const linkedBlobs = new LinkedBlobs({ driver, documents, blobs });
  const ociTags = new OciTags(driver, documents);
  const referrers = new Referrers({ driver, documents, tags: ociTags });
  const repositories = new Repositories({ driver, documents, events });
  return {
    blobs,
    images,
    push: new ImagePush({ driver, documents, images, blobs, analysis, layerFacts }),
    layerFacts,
    fileLists: new FileLists({ driver, images, analysis }),
    repositories,
    tags: new Tags({ driver, documents, images, repositories }),
    linkedBlobs,
    uploads: new Uploads({ driver, documents, blobs, linkedBlobs, limits }),
    manifests: new Manifests({ documents, blobs: linkedBlobs, tags: ociTags, referrers, events, allowSparseIndexes }),
    ociTags,
    referrers,
    catalog: new Catalog(driver),
  };
}
