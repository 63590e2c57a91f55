import { gcs, gcsBesideCurl } from "./gcs.ts";
import { glance } from "./glance.ts";
import { s3 } from "./s3.ts";
import { swift } from "./swift.ts";

/** All kinds of object stores, in the order of the table. */
export const stores = [s3, gcs, gcsBesideCurl, swift, glance] as const;
