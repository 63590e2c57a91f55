/** The suite is part of what the authors of drivers get, so it lies where it is built. */
export * from "../../src/drivers/storage/conformance.ts";
