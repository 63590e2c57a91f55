import { getObjects, putObject, putObjects } from "./buckets.ts";
import { downloads, redirectedDownloads, verifyDownload } from "./downloads.ts";
import { fetchBody, requests } from "./requests.ts";
import { mountBlob, pushBlobs, putManifests } from "./small-pushes.ts";
import { transfers } from "./transfers.ts";
import { upload } from "./uploads.ts";
import { pushV1Image } from "./v1-images.ts";
import { wrongLogins } from "./wrong-logins.ts";

/** What a load process can be asked to do. Inputs and results pass between processes, so they are plain data. */
export const jobs = {
  downloads,
  fetchBody,
  getObjects,
  mountBlob,
  pushBlobs,
  pushV1Image,
  putManifests,
  putObject,
  putObjects,
  redirectedDownloads,
  requests,
  transfers,
  upload,
  verifyDownload,
  wrongLogins,
} as const;

/** The name of a job. */
export type JobName = keyof typeof jobs;
/** What a job takes. */
export type JobInput<Name extends JobName> = Parameters<(typeof jobs)[Name]>[0];
/** What a job comes to. */
export type JobResult<Name extends JobName> = Awaited<ReturnType<(typeof jobs)[Name]>>;
