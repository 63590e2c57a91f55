import { z } from "zod";
import { option } from "../../drivers/option.ts";
import { kind, path, seconds, size, text, texts, webUrl } from "./values.ts";

const prefix = kind(
  z.string().regex(/^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/),
  "what names of repositories begin with, such as quay or mirrors/quay",
);

const protocol = option(z.enum(["v2", "v1"]).default("v2"), {
  description: "What the upstream speaks: v2, or v1 as the Python registry did.",
});
const user = option(text.optional(), { description: "The user to ask as; nobody in particular if nothing is said." });
const program = option(text.optional(), {
  description:
    "What tells the user and password: NAME of a program docker-credential-NAME, as docker has them, or a path.",
});
const authority = option(path.optional(), {
  description: "The PEM file with certificates to trust beside the system's own.",
});
const allowed = option(texts.default([]), {
  description:
    "Which repositories may be asked for: patterns of their names there, * for any characters; all if nothing is said.",
});
const otherHosts = option(texts.default([]), {
  description: "Other names of its host that containerd may ask for it by (?ns=); Docker Hub's are known.",
});
const pushable = option(z.boolean().default(true), {
  description: "Whether clients may push to its repositories here; what they push counts before what the upstream has.",
});

const upstream = z.object({
  url: option(webUrl, { description: "The upstream's URL." }),
  prefix: option(prefix.optional(), {
    description:
      "What the names of its repositories begin with here; without it, it is asked for all that no other has.",
  }),
  protocol,
  index: option(webUrl.optional(), { description: "The index of an upstream of V1." }),
  tags_cache_ttl: option(seconds.optional(), { description: "As tags_cache_ttl, for this upstream alone." }),
  username: user,
  password: option(text.optional(), { description: "That user's password.", secret: true }),
  credential_helper: program,
  ca: authority,
  proxy: option(webUrl.optional(), { description: "The proxy that requests go through, such as http://proxy:3128." }),
  repositories: allowed,
  hosts: otherHosts,
  push: pushable,
});

/** What other registries have is served as if it were here. */
export const mirroring = z.object({
  source: option(webUrl.optional(), { description: "The registry that is mirrored.", env: ["MIRROR_SOURCE"] }),
  protocol,
  source_index: option(webUrl.optional(), {
    description: "The index of that registry, where it speaks V1 and has one.",
    env: ["MIRROR_SOURCE_INDEX"],
  }),
  tags_cache_ttl: option(seconds.default(172_800), {
    description: "For how many seconds its tags are believed; then it is asked whether they have changed.",
    env: ["MIRROR_TAGS_CACHE_TTL"],
  }),
  username: option(text.optional(), {
    description: "The user to ask it as; nobody in particular if nothing is said.",
    env: ["MIRROR_USERNAME"],
  }),
  password: option(text.optional(), { description: "That user's password.", env: ["MIRROR_PASSWORD"], secret: true }),
  credential_helper: program,
  ca: option(path.optional(), {
    description: "The PEM file with certificates to trust beside the system's own.",
    env: ["MIRROR_CA"],
  }),
  proxy: option(webUrl.optional(), {
    description: "The proxy that requests go through, such as http://proxy:3128.",
    env: ["MIRROR_PROXY"],
  }),
  repositories: allowed,
  hosts: otherHosts,
  push: pushable,
  upstreams: option(z.array(upstream).default([]), {
    description:
      "More registries that are mirrored, each with its url and a prefix, and username, password, credential_helper, ca, proxy, repositories, hosts and push of its own.",
  }),
  max_age: option(seconds.optional(), {
    description: "For how many seconds what was mirrored stays when nobody asks for it; for ever if nothing is said.",
    env: ["MIRROR_MAX_AGE"],
  }),
  max_size: option(size.optional(), {
    description:
      "How much of the storage what was mirrored may take, such as 100G: what was asked for longest ago goes first.",
    env: ["MIRROR_MAX_SIZE"],
  }),
  spool: option(path.optional(), {
    description: "The folder where blobs lie while they come; the system's for temporary files if nothing is said.",
    env: ["MIRROR_SPOOL"],
  }),
});

/** How one upstream is written; `mirroring` itself has the same options for its `source`. */
export type UpstreamSettings = z.output<typeof upstream>;

/** The section as it is when it is there. */
export type MirroringSettings = z.output<typeof mirroring>;

/** Every upstream of the section, its `source` first. */
export function upstreamsOf(section: Immutable<MirroringSettings>): readonly Immutable<UpstreamSettings>[] {
  const { source: url, source_index: index, upstreams, ...own } = section;
  return url === undefined ? upstreams : [{ ...own, url, index, prefix: undefined }, ...upstreams];
}

type Immutable<T> = T extends object ? { readonly [K in keyof T]: Immutable<T[K]> } : T;
