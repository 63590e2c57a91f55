import { findStorage } from "../../drivers/storage/index.ts";
import type { Complaint } from "./complaints.ts";
import { resolveScalar, type Environment } from "./environment.ts";
import type { Place } from "./reading.ts";
import type { Settings } from "./schema.ts";
import { optionsOfOthers } from "./storages.ts";
import type { Entry, Mapping } from "./yaml-tree.ts";

/** Options that are accepted, for the files of other versions, but change nothing in this version or this flavor. */
export function unused(settings: Settings, places: ReadonlyMap<string, Place>): readonly Complaint[] {
  const { storage, cache, cache_lru: lru, nginx_x_accel_redirect: accel } = settings;
  const offload = [...(accel === undefined ? [] : [accelOption]), ...(settings.apache_x_sendfile ? [sendfile] : [])];
  const local = findStorage(storage)?.features.localFiles === true;
  const found = [
    settings.secret_key !== undefined && {
      key: "secret_key",
      problem: "is not used: it signed the cookies of registries up to 0.6",
      remedy: "Remove it.",
    },
    settings.s3_use_sigv4 === false && {
      key: "s3_use_sigv4",
      problem: "is not used: requests are always signed with version 4",
      remedy: "Remove it.",
    },
    storage === "elliptics" && threadsWanted(settings),
    cache && lru && { key: "cache.host", problem: "is not used beside cache_lru", remedy: "Remove one of the two." },
    settings.storage_redirect &&
      findStorage(storage)?.features.redirect !== true && {
        key: "storage_redirect",
        problem: `is not used: storage ${storage} has no URLs that a client could be sent to`,
        remedy: "Remove it; nginx_x_accel_redirect or apache_x_sendfile let a proxy send local storage.",
      },
    ...offload.map(
      (key) =>
        !local && {
          key,
          problem: `is not used: storage ${storage} has no files that a proxy could send`,
          remedy: "Remove it, or choose storage: local.",
        },
    ),
    local &&
      offload.length > 1 && {
        key: sendfile,
        problem: `is not used beside ${accelOption}`,
        remedy: "Remove the one whose server is not in front.",
      },
  ];
  return found.flatMap((complaint) => (complaint ? [{ ...complaint, ...lineOf(complaint.key, places) }] : []));
}

/**
 * The same for options of other storages than `storage`, which the flavor chooses: one warning for all that the flavor
 * itself sets. What it shares with others, through `common` or `<<`, is meant for those.
 */
export function unusedOfOtherStorages(
  { entries }: Mapping,
  flavor: string,
  storage: string,
  env: Environment,
): readonly Complaint[] {
  const others = optionsOfOthers(storage);
  const set = [...entries].filter(([key, entry]) => entry.home === flavor && others.has(key) && isSet(entry, env));
  const [first, ...rest] = set;
  if (!first) return [];
  const [key, { line }] = first;
  const also = rest.length === 0 ? "" : `, nor ${rest.map(([name]) => name).join(", ")}`;
  const problem = `is not used${also}: this flavor does not choose a storage with that option`;
  return [{ key, line, problem, remedy: "Remove what is left of another storage, or choose that storage." }];
}

/** Said once for all of them. What the original's sample says, everybody has. */
function threadsWanted(settings: Settings): Pick<Complaint, "key" | "problem" | "remedy"> | false {
  const wanted = threadOptions.filter((key) => settings[key] !== 2);
  const [key, ...rest] = wanted;
  if (key === undefined) return false;
  const also = rest.length === 0 ? "" : `, nor ${rest.join(", ")}`;
  return { key, problem: `is not used${also}: this client has no threads`, remedy: "Remove it." };
}

const threadOptions = [
  "elliptics_io_thread_num",
  "elliptics_net_thread_num",
  "elliptics_nonblocking_io_thread_num",
] as const;

const accelOption = "nginx_x_accel_redirect";
const sendfile = "apache_x_sendfile";

function isSet({ value }: Entry, env: Environment): boolean {
  if (value.kind !== "scalar") return true;
  const text = resolveScalar(value, env)?.text ?? "";
  return text !== "" && text !== "~" && text !== "null";
}

function lineOf(key: string, places: ReadonlyMap<string, Place>): { readonly line?: number } {
  const line = places.get(key)?.line;
  return line === undefined ? {} : { line };
}
