/** What the conformance suite of storage drivers works with, other tests of storages use too. */
export * from "../../src/drivers/storage/conformance/probing.ts";
