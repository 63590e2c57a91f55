import { z } from "zod";
import { option } from "../../drivers/option.ts";
import { auth } from "./auth-options.ts";
import { kind, path, text, texts, webUrl } from "./values.ts";

function isPattern(text: string): boolean {
  try {
    new RegExp(text);
    return true;
  } catch {
    return false;
  }
}

const logLevels = ["debug", "info", "warn", "error", "critical"] as const;

/** What the registry says, whom it trusts, and how it is searched. */
export const registryOptions = {
  loglevel: option(
    z
      .enum([...logLevels, "warning", "fatal"])
      .transform((level): (typeof logLevels)[number] =>
        level === "warning" ? "warn" : level === "fatal" ? "critical" : level,
      )
      .default("info"),
    { description: "The least important messages that are logged.", env: ["LOGLEVEL"] },
  ),
  debug: option(z.boolean().default(false), {
    description: "Let /v1/_ping tell versions and the host.",
    env: ["DEBUG"],
  }),
  issue: option(text.optional(), { description: "What / says." }),
  standalone: option(z.boolean().default(true), {
    description: "Work without an index server: nobody is asked for tokens.",
    env: ["STANDALONE"],
  }),
  index_endpoint: option(webUrl.default("https://index.docker.io"), {
    description: "The index server that verifies tokens when standalone is false.",
    env: ["INDEX_ENDPOINT"],
  }),
  disable_token_auth: option(z.boolean().default(false), {
    description: "Ask nobody for tokens, even when standalone is false: a proxy in front does.",
    env: ["DISABLE_TOKEN_AUTH"],
  }),
  privileged_key: option(path.optional(), {
    description: "The PEM file with the public key whose signed requests may do everything.",
    env: ["PRIVILEGED_KEY"],
  }),
  auth: option(auth.optional(), { description: "Ask clients who they are, and decide what they may do." }),
  registry_endpoints: option(
    kind(
      z.union([text, texts]).transform((value) => (typeof value === "string" ? value : value.join(", "))),
      "a text or a list of texts",
    ).optional(),
    {
      description:
        "What X-Docker-Endpoints tells clients, such as one.example.com, two.example.com; else the Host they asked.",
    },
  ),
  allow_sparse_indexes: option(z.boolean().default(false), {
    description:
      "Take an index although the repository lacks some of its manifests, as for single platforms of an image.",
    env: ["ALLOW_SPARSE_INDEXES"],
  }),
  v1_user_agents: option(
    text
      .refine(isPattern, { error: "is no regular expression" })
      .default("^(docker/(0|1\\.\\d)(\\.|\\s|$)|Go 1\\.1 package http$)"),
    {
      description:
        "Which clients, by their User-Agent, are not told that this registry speaks V2: a regular expression; docker before 1.10.",
      env: ["V1_USER_AGENTS"],
    },
  ),
  v1_platform: option(
    kind(
      z.string().regex(/^[a-z0-9]+\/[a-z0-9_]+(\/[a-z0-9.]+)?$/),
      "a platform such as linux/amd64 or linux/arm/v7",
    ).default("linux/amd64"),
    {
      description: "Which image of an index V1 clients are shown, who know one platform alone.",
      env: ["V1_PLATFORM"],
    },
  ),
  search_backend: option(text.transform((name) => (name === "sqlalchemy" ? "database" : name)).optional(), {
    description:
      "What answers searches: database (also called sqlalchemy), or the path of a module of your own; empty finds nothing.",
    env: ["SEARCH_BACKEND"],
  }),
  sqlalchemy_index_database: option(
    kind(
      z.string().regex(/^(sqlite:\/\/|postgres(ql)?(\+\w+)?:\/\/)/),
      "a URL such as sqlite:////var/lib/registry/index.db or postgresql://user:password@host:5432/name",
    ).default("sqlite:////tmp/docker-registry.db"),
    {
      description:
        "The database that search_backend: database fills: sqlite:///relative.db, sqlite:////absolute.db or postgresql://user:password@host:port/name.",
      env: ["SQLALCHEMY_INDEX_DATABASE"],
      secret: true,
    },
  ),
  secret_key: option(text.optional(), {
    description: "Signed the cookies of registries up to 0.6; accepted with a warning, not used.",
    env: ["SECRET_KEY"],
    secret: true,
  }),
};
