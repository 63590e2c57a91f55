/*
 * What the server shows to those who run it: the command line, and programs that embed it. Nothing here loads the
 * server itself before `serve` is called.
 */
export { explainAccess, type AccessExplanation } from "./access-explanation.ts";
export { sign, signatureText, verify, type SignatureHash, type SignedRequest } from "./access/signature.ts";
export { nameFault } from "./accounts/acceptable.ts";
export { changePassword, hasAccount, listUsers, makeUser } from "./accounts/administration.ts";
export type { StoredKey } from "./accounts/key-store.ts";
export { removeUser } from "./accounts/user-list.ts";
export { findConfig, shippedFolder } from "./config/config-file.ts";
export { describe, originText, type EffectiveValue, type Origin } from "./config/describe.ts";
export type { Evaluation, Loaded } from "./config/flavors.ts";
export { configJsonSchema } from "./config/json-schema.ts";
export { flavorOf, load, loadAll, type CheckedFile, type LoadOptions } from "./config/load.ts";
export { ConfigError, renderProblem, type Problem } from "./config/problem.ts";
export { renderConfig, type Draft } from "./config/render.ts";
export { settingsOf, type Settings, type SettingsInput } from "./config/schema.ts";
export { adoptStore, copyStore, openKeys, openStoredRegistry } from "./maintenance/index.ts";
export type { FoundManifest, RegistryPort, V1ImageView } from "./maintenance/port.ts";
export type { AdoptOptions, AdoptReport } from "./maintenance/adopt.ts";
export type { OpenedKeys } from "./maintenance/opened-keys.ts";
export type { CopyOptions } from "./maintenance/copy.ts";
export type { CopyCounts } from "./maintenance/copy/counts.ts";
export { assertPrivate } from "./pem.ts";
export { probesOf, type Probe } from "./probes.ts";
export { isOciName, isOciTag } from "./registry/oci-names.ts";
export type { Problem as StoreProblem } from "./registry/bridge/problems.ts";
export { serve, type ServeOptions } from "./serve.ts";
