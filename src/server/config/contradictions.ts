import type { Complaint } from "./complaints.ts";
import { mirrorContradictions } from "./mirror-contradictions.ts";
import { authContradictions } from "./auth-contradictions.ts";
import type { Place } from "./reading.ts";
import type { Settings } from "./schema.ts";

/** Options that are right one by one but can't be served together. */
export function contradictions(settings: Settings, places: ReadonlyMap<string, Place>): readonly Complaint[] {
  const found: Complaint[] = [];
  if (settings.storage === "memory" && settings.workers !== 1) {
    found.push({
      ...at("workers", places),
      problem: "memory storage can't be shared by several processes",
      remedy: "Set workers: 1, or choose storage: local.",
    });
  }
  if (settings.storage === "local" && settings.storage_path === "") {
    found.push({
      ...at("storage_path", places),
      problem: "is empty",
      remedy: "Name a folder, such as /var/lib/registry.",
    });
  }
  if (settings.storage === "s3") found.push(...lacksOfS3(settings, places));
  if (settings.storage === "gcs") found.push(...lacksOfGcs(settings, places));
  if (settings.storage === "swift" || settings.storage === "glance") found.push(...lacksOfSwift(settings, places));
  if (settings.storage === "elliptics") found.push(...lacksOfElliptics(settings, places));
  const { metrics, http } = settings;
  if (metrics?.port === http.port && http.port !== 0 && !http.host.startsWith("unix:")) {
    found.push({
      ...at("metrics.port", places),
      problem: "is the registry's own",
      remedy: "Choose another, such as 5001: metrics are not for everybody who may pull.",
    });
  }
  found.push(...mirrorContradictions(settings, places), ...authContradictions(settings, places));
  return found;
}

/** What a bucket can't be found or opened without; keys may come from elsewhere, but not half of a pair. */
function lacksOfS3(settings: Settings, places: ReadonlyMap<string, Place>): readonly Complaint[] {
  const { s3_bucket: bucket, boto_bucket: older, s3_access_key: access, s3_secret_key: secret } = settings;
  const found: Complaint[] = [];
  if (bucket === undefined && older === undefined) {
    const remedy = "Name the bucket that images are kept in; the sample reads it from AWS_BUCKET.";
    found.push({ ...at("s3_bucket", places), problem: "is missing", remedy });
  }
  return [...found, ...halfOfPair("s3", access, secret, "boto and AWS keep them", places)];
}

/** As for S3. What tokens are asked for with may come from elsewhere. */
function lacksOfGcs(settings: Settings, places: ReadonlyMap<string, Place>): readonly Complaint[] {
  const { boto_bucket: bucket, gs_access_key: access, gs_secret_key: secret, oauth2 } = settings;
  const remedy = "Name the bucket that images are kept in; the sample reads it from GCS_BUCKET.";
  const missing = { ...at("boto_bucket", places), problem: "is missing", remedy };
  return [
    ...(bucket === undefined ? [missing] : []),
    ...(oauth2 ? [] : halfOfPair("gs", access, secret, "boto keeps them", places)),
  ];
}

function halfOfPair(
  prefix: "s3" | "gs",
  access: string | undefined,
  secret: string | undefined,
  elsewhere: string,
  places: ReadonlyMap<string, Place>,
): readonly Complaint[] {
  if ((access === undefined) === (secret === undefined)) return [];
  const [missing, there] = access === undefined ? ["access", "secret"] : ["secret", "access"];
  const remedy = `Set ${prefix}_${missing}_key too, or neither: then keys are looked for where ${elsewhere}.`;
  const problem = `is missing beside ${prefix}_${there}_key`;
  return [{ ...at(`${prefix}_${missing}_key`, places), problem, remedy }];
}

/** What no token can be had without. */
function lacksOfSwift(settings: Settings, places: ReadonlyMap<string, Place>): readonly Complaint[] {
  const needed = {
    swift_authurl: "Say where tokens come from; the sample reads it from OS_AUTH_URL.",
    swift_user: "Name the user; the sample reads it from OS_USERNAME.",
    swift_password: "Set the password; the sample reads it from OS_PASSWORD.",
  } as const;
  const keys = ["swift_authurl", "swift_user", "swift_password"] as const;
  const missing = keys.filter((key) => settings[key] === undefined);
  return missing.map((key) => ({ ...at(key, places), problem: "is missing", remedy: needed[key] }));
}

function lacksOfElliptics(
  { elliptics_nodes: nodes }: Settings,
  places: ReadonlyMap<string, Place>,
): readonly Complaint[] {
  const remedy = "Name the nodes, such as elliptics.example.com:1025:2; the sample reads them from ELLIPTICS_NODES.";
  return nodes === undefined ? [{ ...at("elliptics_nodes", places), problem: "is missing", remedy }] : [];
}

/** Values that can be served but are hardly what is wanted. */
export function doubts(
  values: Readonly<Record<string, unknown>>,
  places: ReadonlyMap<string, Place>,
): readonly Complaint[] {
  const inUse = Object.fromEntries(Object.entries(values).filter(([key]) => key !== "secret_key"));
  const found = placeholders(inUse, []).map((key) => ({
    ...at(key, places),
    problem: "still is REPLACEME",
    remedy: "Replace it with the value of your own, or remove it.",
  }));
  const folderIsChosen = typeof values["storage_path"] === "string";
  if (!folderIsChosen && (values["storage"] === "local" || values["storage"] === "file")) {
    found.push({
      ...at("storage_path", places),
      problem: "is not set: images go to /tmp/registry, where systems delete what is old",
      remedy: "Name a folder, such as storage_path: /var/lib/registry.",
    });
  }
  return found;
}

/** The keys of values that the original's first sample file wanted to be replaced. */
function placeholders(value: unknown, path: readonly string[]): readonly string[] {
  if (value === "REPLACEME") return [path.join(".")];
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, child]) => placeholders(child, [...path, key]));
}

function at(key: string, places: ReadonlyMap<string, Place>): { readonly key: string; readonly line?: number } {
  const line = places.get(key)?.line;
  return { key, ...(line !== undefined && { line }) };
}
