export { sign, signatureText, verify, type SignatureHash, type SignedRequest } from "./auth/signature.ts";
export type { Settings } from "./config/schema.ts";
export { flavorOf, load, loadAll, type CheckedFile, type LoadOptions } from "./config/load.ts";
export type { Evaluation, Loaded } from "./config/flavors.ts";
export { ConfigError, renderProblem, type Problem } from "./config/problem.ts";
export { findConfig, shippedFolder } from "./config/config-file.ts";
export { describe, originText, type EffectiveValue, type Origin } from "./config/describe.ts";
export { configJsonSchema } from "./config/json-schema.ts";
