/** What the conformance suite of storage drivers works with, other tests use too. */
export * from "../../src/drivers/storage/conformance/random.ts";
