import type { StorageDriver } from "../../../drivers/storage/driver.ts";
import { BridgeRecords } from "../../registry/bridge/records.ts";
import { Documents } from "../../registry/documents.ts";
import { Images } from "../../registry/images.ts";
import type { OwnParts } from "../../registry/registry.ts";
import type { OpenedStore } from "../opened-store.ts";

/** One of the two stores, as whoever copies sees it: each protocol's own, and nothing that is made when it is asked for. */
export interface Side {
  readonly driver: StorageDriver;
  readonly documents: Documents;
  readonly images: Images;
  readonly records: BridgeRecords;
  readonly own: OwnParts;
}

export function sideOf({ driver, registry }: Pick<OpenedStore, "driver" | "registry">): Side {
  const documents = new Documents(driver);
  const images = new Images(driver, documents);
  return { driver, documents, images, records: new BridgeRecords(documents), own: registry.own };
}
