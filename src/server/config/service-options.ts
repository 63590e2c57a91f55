import { z } from "zod";
import { option } from "../../drivers/option.ts";
import { mirroring } from "./mirror-options.ts";
import { kind, path, port, seconds, text, texts, webUrl } from "./values.ts";

const emailExceptions = z.object({
  smtp_host: option(text, { description: "The mail server.", env: ["SMTP_HOST"] }),
  smtp_port: option(port.default(25), { description: "Its port; 465 is TLS from the first byte.", env: ["SMTP_PORT"] }),
  smtp_login: option(text.optional(), { description: "The user to log in as.", env: ["SMTP_LOGIN"] }),
  smtp_password: option(text.optional(), {
    description: "That user's password.",
    env: ["SMTP_PASSWORD"],
    secret: true,
  }),
  smtp_secure: option(
    kind(
      z
        .union([
          z.boolean(),
          z.object({ keyfile: path.optional(), certfile: path.optional(), cafile: path.optional() }),
          path,
        ])
        .transform((value) => (typeof value === "string" ? { keyfile: value } : value)),
      "true, false, the path of a key file or {keyfile: …, certfile: …, cafile: …}",
    ).default(false),
    {
      description:
        "Insist on TLS and check the server's certificate: true, the path of a client key file, or a map of keyfile, certfile and cafile (whom to trust).",
      env: ["SMTP_SECURE"],
    },
  ),
  from_addr: option(text, { description: "The sender of the mails.", env: ["SMTP_FROM_ADDR"] }),
  to_addr: option(text, { description: "Who gets the mails.", env: ["SMTP_TO_ADDR"] }),
});

const corsValues = {
  origins: texts,
  methods: texts,
  headers: texts,
  expose_headers: texts,
  supports_credentials: z.boolean(),
  max_age: seconds,
  send_wildcard: z.boolean(),
  always_send: z.boolean(),
  automatic_options: z.boolean(),
  vary_header: z.boolean(),
};

const cors = z.object({
  origins: option(corsValues.origins, { description: "Which origins may ask; * for all.", env: ["CORS_ORIGINS"] }),
  methods: option(corsValues.methods.default(["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"]), {
    description: "Which methods they may use.",
    env: ["CORS_METHODS"],
  }),
  headers: option(corsValues.headers.default(["Content-Type"]), {
    description: "Which headers they may send.",
    env: ["CORS_HEADERS"],
  }),
  expose_headers: option(corsValues.expose_headers.default([]), {
    description: "Which headers of answers they may read.",
    env: ["CORS_EXPOSE_HEADERS"],
  }),
  supports_credentials: option(corsValues.supports_credentials.default(false), {
    description: "Whether they may send credentials.",
    env: ["CORS_SUPPORTS_CREDENTIALS"],
  }),
  max_age: option(corsValues.max_age.optional(), {
    description: "For how many seconds a browser may remember the answer.",
    env: ["CORS_MAX_AGE"],
  }),
  send_wildcard: option(corsValues.send_wildcard.default(true), {
    description: "Answer * where every origin may ask, instead of the origin.",
    env: ["CORS_SEND_WILDCARD"],
  }),
  always_send: option(corsValues.always_send.default(true), {
    description: "Send the headers to requests without an Origin too.",
    env: ["CORS_ALWAYS_SEND"],
  }),
  automatic_options: option(corsValues.automatic_options.default(true), {
    description: "Answer OPTIONS requests.",
    env: ["CORS_AUTOMATIC_OPTIONS"],
  }),
  vary_header: option(corsValues.vary_header.default(true), {
    description: "Send Vary: Origin where the answer depends on it.",
    env: ["CORS_VARY_HEADER"],
  }),
  resources: option(
    kind(
      z.union([texts, z.record(z.string(), z.object(corsValues).partial())]),
      "a list of patterns or a map from patterns to options",
    ).optional(),
    {
      description:
        "Patterns of the paths that this is about, or a map from patterns to options of their own; else all.",
      env: ["CORS_RESOURCES"],
    },
  ),
});

/** The servers beside the registry: Redis, mail, bugsnag, the mirrored registry; and other sites' scripts. */
export const serviceOptions = {
  cache: option(redis("CACHE_REDIS").optional(), {
    description: "A Redis that keeps small files where there is no cache_lru.",
  }),
  cache_lru: option(redis("CACHE_LRU_REDIS").optional(), {
    description: "A Redis in LRU mode that keeps small files, so that they need not be read from the storage.",
  }),
  mirroring: option(mirroring.optional(), {
    description: "Serve what other registries have as if it were here, and keep it.",
  }),
  email_exceptions: option(emailExceptions.optional(), { description: "Mail every fault to somebody." }),
  bugsnag: option(text.optional(), {
    description: "The API key under which faults are told to bugsnag.",
    env: ["BUGSNAG"],
    secret: true,
  }),
  bugsnag_endpoint: option(webUrl.default("https://notify.bugsnag.com"), {
    description: "Where bugsnag listens.",
    env: ["BUGSNAG_ENDPOINT"],
  }),
  cors: option(cors.optional(), { description: "Which scripts of other sites may use the registry (CORS)." }),
};

function redis(prefix: string) {
  return z.object({
    host: option(text, { description: "The host of the Redis server.", env: [`${prefix}_HOST`] }),
    port: option(port.default(6379), { description: "Its port.", env: [`${prefix}_PORT`] }),
    db: option(z.int().min(0).default(0), { description: "The number of the database there.", env: [`${prefix}_DB`] }),
    password: option(text.optional(), { description: "Its password.", env: [`${prefix}_PASSWORD`], secret: true }),
  });
}
