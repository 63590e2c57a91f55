import type { StorageDriver } from "../../drivers/storage/driver.ts";
import type { Events } from "./events.ts";
import { Blobs } from "./blobs.ts";
import { Bridge } from "./bridge/bridge.ts";
import { LayerFacts } from "./bridge/layer-facts.ts";
import { ManifestLinks } from "./bridge/manifest-links.ts";
import { OciTranslation } from "./bridge/oci-translation.ts";
import { BridgeRecords } from "./bridge/records.ts";
import { SharedCatalog } from "./bridge/shared-catalog.ts";
import { SharedOciTags } from "./bridge/shared-oci-tags.ts";
import { SharedRepositories } from "./bridge/shared-repositories.ts";
import { SharedTags } from "./bridge/shared-tags.ts";
import { V1Names } from "./bridge/v1-names.ts";
import { V1Translation, type Bring } from "./bridge/v1-translation.ts";
import { Catalog } from "./catalog.ts";
import { Documents } from "./documents.ts";
import { FileLists } from "./file-lists.ts";
import { ImagePush } from "./image-push.ts";
import { Images, type Materialise } from "./images.ts";
import { KeyedLock, turnsApart, type Turns } from "./keyed-lock.ts";
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
  readonly repositories: SharedRepositories;
  readonly tags: SharedTags;
  readonly linkedBlobs: LinkedBlobs;
  readonly uploads: Uploads;
  readonly manifests: Manifests;
  readonly ociTags: SharedOciTags;
  readonly referrers: Referrers;
  readonly catalog: SharedCatalog;
  readonly bridge: Bridge;
  /** What each protocol has without the other. */
  readonly own: OwnParts;
}

/** The parts of the core of which each protocol has its own. */
export interface OwnParts {
  /** Asks nobody for images that aren't there. */
  readonly images: Images;
  readonly push: ImagePush;
  readonly repositories: Repositories;
  readonly tags: Tags;
  readonly ociTags: OciTags;
  readonly catalog: Catalog;
}

/** What the core works with. Whoever gives these closes them, after the registry's bridge. */
export interface RegistryParts {
  readonly driver: StorageDriver;
  readonly events: Events;
  readonly analysis: LayerAnalysis;
  readonly limits: UploadLimits;
  /** Taken by what reads, changes and writes one document; by default those of this process alone. */
  readonly turns?: Turns;
  readonly allowSparseIndexes?: boolean;
  /** Which image of an index V1 clients are shown; linux/amd64 by default. */
  readonly v1Platform?: string;
  /** Gets what a manifest lacks for V1 clients; by default nobody does. */
  readonly bring?: Bring;
  /** Gets an image of V1 that is not there, as `Materialise` says; by default nobody does. */
  readonly bringImage?: Materialise;
  /** Told why an image could not be translated beside other work. Must not throw; by default nobody is told. */
  readonly onUntranslated?: (error: unknown, image: string) => void;
}

/** Puts the core together. */
export function createRegistry(parts: RegistryParts): Registry {
  const { driver, events, analysis, limits, turns = new KeyedLock(), allowSparseIndexes = false } = parts;
  const documents = new Documents(driver);
  const blobs = new Blobs(driver);
  const layerFacts = new LayerFacts({ driver, documents, blobs, analysis });
  const linkedBlobs = new LinkedBlobs({ driver, documents, blobs });
  const records = new BridgeRecords(documents);
  const pushed = pushedImages({ turns, driver, documents, blobs, analysis, layerFacts });
  const {
    v1Platform: platform = "linux/amd64",
    bring = async () => {
      await Promise.resolve();
    },
  } = parts;
  const toV1 = new V1Translation({ ...pushed, documents, blobs, layerFacts, records, platform, bring });
  const images = new Images(driver, documents, async (id) => (await toV1.materialise(id)) || (await parts.bringImage?.(id)) === true); // prettier-ignore
  const ociTags = new OciTags(driver, documents);
  const repositories = new Repositories({ driver, documents, events, turns });
  const own = {
    ...pushed,
    repositories,
    tags: new Tags({ driver, documents, images, repositories }),
    ociTags,
    catalog: new Catalog(driver),
  };
  const links = new ManifestLinks({ documents, blobs });
  const bridge = new Bridge({
    ...own,
    links,
    toOci: new OciTranslation({ driver, blobs, images, layerFacts, records, links }),
    toV1,
    onError: parts.onUntranslated ?? (() => undefined),
  });
  const v1Names = new V1Names({ driver, tags: own.tags });
  const shared = {
    repositories: new SharedRepositories({ ...own, events, bridge }),
    ociTags: new SharedOciTags({ ...own, v1Names, bridge }),
  };
  const referrers = new Referrers({ driver, documents, tags: ociTags });
  return {
    blobs,
    images,
    push: new ImagePush({ driver, documents, images, blobs, analysis, layerFacts, turns }),
    layerFacts,
    fileLists: new FileLists({ driver, images, analysis }),
    ...shared,
    tags: new SharedTags({ ...own, repositories: shared.repositories, bridge }),
    linkedBlobs,
    uploads: new Uploads({ driver, documents, blobs, linkedBlobs, limits }),
    manifests: new Manifests({
      documents,
      blobs: linkedBlobs,
      tags: shared.ociTags,
      referrers,
      events,
      allowSparseIndexes,
    }),
    referrers,
    catalog: new SharedCatalog({ ...own, v1Names }),
    bridge,
    own,
  };
}

/** Images and their pushes, as they are without translations. */
function pushedImages(parts: Omit<ConstructorParameters<typeof ImagePush>[0], "images">) {
  const images = new Images(parts.driver, parts.documents);
  // A push of a V1 client may wait for a translation of the same image.
  return { images, push: new ImagePush({ ...parts, images, turns: turnsApart(parts.turns, "translation of") }) };
}
