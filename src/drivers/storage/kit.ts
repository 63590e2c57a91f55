/*
 * What the author of a storage driver works with: the package's public face `registryctl/driver`. The suite that such a
 * driver passes is `registryctl/driver-conformance`. docs/drivers.md tells how they go together.
 */
export { z } from "zod";
export { option, type OptionMeta } from "../option.ts";
export { resolveRange } from "./byte-range.ts";
export { undisputed, type Claim, type Member } from "./claim.ts";
export { completed, type Basics } from "./completed.ts";
export { defineStorage, type StorageDefinition } from "./define.ts";
export type {
  Append,
  ByteRange,
  Entry,
  RedirectOptions,
  SmallObject,
  Stat,
  StorageDriver,
  WriteInSteps,
} from "./driver.ts";
export { DriverError, isNotFound, type DriverErrorCode } from "./errors.ts";
export { indexed, type Index } from "./indexed.ts";
export { exactly, gathered, SizeMismatch } from "./exact-size.ts";
export { compareKeys, isBelow } from "./key-order.ts";
