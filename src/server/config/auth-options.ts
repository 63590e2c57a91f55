import { z } from "zod";
import { option } from "../../drivers/option.ts";
import { accessOptions } from "./access-options.ts";
import { kind, path, texts } from "./values.ts";

/** The section `auth`: who may log in, and who may do what. */
export const auth = z.object({
  htpasswd: option(path.optional(), {
    description:
      "The file with accounts and their passwords, as Apache's htpasswd writes it; registryctl user changes it.",
    env: ["REGISTRY_AUTH_HTPASSWD"],
  }),
  groups: option(
    kind(
      z.union([z.record(z.string(), texts), path]),
      "a map from groups to lists of users, or the path of a group file",
    ).default({}),
    {
      description:
        "Groups of accounts: a map such as {dev: [ann, bob]}, or the path of a file with lines such as dev: ann bob.",
      env: ["REGISTRY_AUTH_GROUPS"],
    },
  ),
  signup: option(z.boolean().default(false), {
    description: "Let anybody make an account for themselves, with docker login of V1 clients.",
    env: ["REGISTRY_AUTH_SIGNUP"],
  }),
  ...accessOptions,
});
