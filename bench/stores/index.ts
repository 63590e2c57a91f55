import { gcs } from "./gcs.ts";
import { glance } from "./glance.ts";
import { s3 } from "./s3.ts";
import { swift } from "./swift.ts";

/** All kinds of object stores, in the order of the table. */
export const stores = [s3, gcs, swift, glance] as const;
