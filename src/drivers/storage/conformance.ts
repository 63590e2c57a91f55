import type { Context } from "mocha";
import type { StorageDriver } from "./driver.ts";
import { describeChanges } from "./conformance/changes.ts";
import { describeContent } from "./conformance/content.ts";
import { describeLargeObjects } from "./conformance/large-objects.ts";
import { describeListing } from "./conformance/listing.ts";
import { describeSteps } from "./conformance/steps.ts";

/** What the suite must know of a driver that the interface doesn't say. */
export interface Conformance {
  /** The driver keeps its objects in memory: how much it holds is no fault. */
  readonly inMemory?: boolean;
  /** How many objects are many, where each takes its time: it should be more than the backend lists at once. */
  readonly many?: number;
  /** Milliseconds that a test may take, where each request takes its time. */
  readonly timeout?: number;
  /** Names with ends of lines can't be kept: such keys are INVALID_KEY. */
  readonly oneLine?: boolean;
}

/** Hands a test the driver, and a prefix that no other test uses. */
export interface Subject {
  readonly driver: StorageDriver;
  area(): string;
}

/**
 * What it means to be a storage driver: every driver and every wrapper passes this. `open` is called once, in a `before`
 * hook (so it may skip the suite when its backend is not installed); `close` after the driver has been closed.
 */
export function describeStorage(
  name: string,
  open: (context: Context) => Promise<StorageDriver>,
  close?: () => Promise<void>,
  conformance: Conformance = {},
): void {
  describe(`${name} is a storage driver`, function () {
    this.timeout(conformance.timeout ?? 180_000);
    let opened: StorageDriver | undefined;
    let areas = 0;
    const subject: Subject = {
      get driver() {
        if (opened === undefined) throw new Error(`${name} is not open`);
        return opened;
      },
      area: () => `area-${(areas += 1)}`,
    };

    before(async function () {
      opened = await open(this);
    });

    after(async () => {
      await opened?.close();
      await close?.();
    });

    describeContent(subject, conformance);
    describeLargeObjects(subject, conformance);
    describeListing(subject, conformance);
    describeChanges(subject);
    describeSteps(subject);
  });
}
