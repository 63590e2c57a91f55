import { z } from "zod";
import { option } from "../../option.ts";

const callingFormats = [
  "OrdinaryCallingFormat",
  "SubdomainCallingFormat",
  "boto.s3.connection.OrdinaryCallingFormat",
  "boto.s3.connection.SubdomainCallingFormat",
  "boto.s3.connection.ProtocolIndependentOrdinaryCallingFormat",
] as const;

/** Options that tell of the bucket and the server, whichever dialect of S3 it speaks; named after the boto library. */
export const botoOptions = {
  boto_bucket: option(z.string().min(1).optional(), {
    description: "The bucket of storage gcs, which has to exist, and another name of s3_bucket.",
    env: ["AWS_BUCKET", "GCS_BUCKET"],
  }),
  boto_host: option(
    z
      .string()
      .min(1)
      .regex(/^([\w.-]+|[\da-f:]+)$/i)
      .optional(),
    {
      description: "The host of a server that is not Amazon's or Google's own, such as a Ceph gateway.",
      env: ["AWS_HOST", "GCS_HOST"],
    },
  ),
  boto_port: option(z.int().min(1).max(65_535).optional(), {
    description: "Its port; else 443, or 80 where s3_secure or gs_secure is off.",
    env: ["AWS_PORT", "GCS_PORT"],
  }),
  boto_calling_format: option(z.enum(callingFormats).optional(), {
    description:
      "Where the bucket's name stands: OrdinaryCallingFormat in the path, SubdomainCallingFormat before the host. Amazon's own hosts get the second, others the first.",
    env: ["AWS_CALLING_FORMAT"],
  }),
  boto_debug: option(z.int().min(0).default(0), {
    description: "Accepted for older files, not used.",
    env: ["AWS_DEBUG"],
  }),
};

/** The options of `storage: s3`. Keys that are not here come from boto's files, the AWS variables or the machine's role. */
export const s3Options = {
  s3_bucket: option(z.string().min(1).optional(), {
    description: "The bucket that images are kept in; it has to exist.",
    env: ["AWS_BUCKET"],
  }),
  s3_region: option(z.string().min(1).optional(), {
    description:
      "The region of the bucket; without it, Amazon is asked, and any other server is taken to be in us-east-1.",
    env: ["AWS_REGION"],
  }),
  s3_access_key: option(z.string().min(1).optional(), {
    description:
      "The access key; without it, one from /etc/boto.cfg, ~/.boto or ~/.aws/credentials, or the role that AWS gave this machine or container.",
    env: ["AWS_KEY", "AWS_ACCESS_KEY_ID"],
  }),
  s3_secret_key: option(z.string().min(1).optional(), {
    description: "The secret key that belongs to s3_access_key.",
    env: ["AWS_SECRET", "AWS_SECRET_ACCESS_KEY"],
    secret: true,
  }),
  s3_session_token: option(z.string().min(1).optional(), {
    description: "The session token of keys that are valid for a while only.",
    env: ["AWS_SESSION_TOKEN"],
    secret: true,
  }),
  s3_encrypt: option(z.boolean().default(true), {
    description: "Let the server encrypt what it stores (SSE-S3, AES256); not every server can.",
    env: ["AWS_ENCRYPT"],
  }),
  s3_secure: option(z.boolean().default(true), {
    description: "Speak HTTPS with the server.",
    env: ["AWS_SECURE"],
  }),
  s3_use_sigv4: option(z.boolean().optional(), {
    description: "Accepted for older files: requests are always signed with version 4.",
    env: ["AWS_USE_SIGV4"],
  }),
  ...botoOptions,
};

const schema = z.object({
  storage_path: option(z.string().default("/registry"), {
    description: "The prefix of all keys in the bucket.",
    env: ["STORAGE_PATH"],
  }),
  ...s3Options,
});

/** What the driver is opened with. */
export const s3Schema = schema;

export type S3Settings = z.output<typeof schema>;
