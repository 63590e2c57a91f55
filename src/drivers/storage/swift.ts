import { defineStorage } from "./define.ts";
import type { StorageDriver } from "./driver.ts";
import { openBucket } from "./s3/bucket-storage.ts";
import type { Tuning } from "./s3/object-bucket.ts";
import { swiftSchema, type SwiftSettings } from "./swift/options.ts";

const features = { redirect: true, localFiles: false } as const;

/** Objects in a container of OpenStack Swift, or of Ceph's gateway, which speaks its protocol too. */
export const swift = defineStorage({
  name: "swift",
  summary: "Objects in a container of OpenStack Swift, or of Ceph by the same protocol.",
  features,
  options: swiftSchema,
  open: async (settings) => await openSwift(settings),
});

const mebibyte = 1_048_576;

/** What the driver works with, but for what is said otherwise. Swift keeps long parts at less cost than short ones. */
export function swiftTuning(tuning: Partial<Tuning>): Tuning {
  return { ...usual, ...tuning };
}

const usual: Tuning = {
  partSize: 16 * mebibyte,
  // What a list of parts may hold.
  mostParts: 1_000,
  memory: 128 * mebibyte,
  copyLimit: 5 * 1024 * mebibyte,
  copyPart: 1024 * mebibyte,
  pageSize: 10_000,
  idle: 60_000,
  attempts: 4,
  delay: 250,
};

/**
 * Opens the store and asks for its container, which is made where it is missing: what only the operator can correct
 * rejects here, while a server that does not answer may do so later. The HTTP library is loaded here, not before.
 */
export async function openSwift(settings: SwiftSettings, tuning: Partial<Tuning> = {}): Promise<StorageDriver> {
  const { connectSwift } = await import("./swift/connect.ts");
  return await openBucket("swift", features, await connectSwift(settings, swiftTuning(tuning)));
}
