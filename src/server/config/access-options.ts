import { z } from "zod";
import { option } from "../../drivers/option.ts";
import { kind, path, text, texts, webUrl } from "./values.ts";

const actionNames = ["pull", "push", "delete"] as const;

/** A text is a list, too. */
const actions = kind(
  z
    .array(z.enum([...actionNames, "all", "none"]))
    .transform((list) => actionNames.filter((action) => list.includes("all") || list.includes(action))),
  "a list of pull, push and delete, or all, or none",
);

const rule = z.object({
  who: option(texts.min(1), {
    description: "Names of accounts, group:NAME for all in a group, anonymous for no account, or * for every account.",
  }),
  repositories: option(texts.min(1).default(["*"]), {
    description: "Names of repositories; * stands for any characters.",
  }),
  actions: option(actions, { description: "What they may do there: pull, push, delete, all, or none." }),
});

const token = z.object({
  realm: option(webUrl, { description: "Where clients ask for tokens." }),
  service: option(text, { description: "What this registry is called there, and in its tokens." }),
  issuer: option(text, { description: "What that service calls itself in its tokens." }),
  jwks: option(text.optional(), {
    description: "Its public keys: the path or the URL of a JSON Web Key Set.",
  }),
  certificates: option(path.optional(), {
    description: "The PEM file of certificates that its tokens are signed with, or that sign those in tokens.",
    aliases: ["rootcertbundle"],
  }),
});

/** Of the section `auth`: who may do what, and where tokens come from. */
export const accessOptions = {
  rules: option(kind(z.array(rule), "a list of rules, each with who, repositories and actions").optional(), {
    description:
      "Who may do what: of these rules the first whose who and repositories fit decides. Without them every account may pull and push, and nobody else anything.",
  }),
  token: option(token.optional(), {
    description: "Another service that gives V2 clients their tokens, instead of the registry itself.",
  }),
  token_key: option(path.optional(), {
    description:
      "The PEM file with the private key that the registry signs tokens with, such as keygen makes; else one is kept in the store.",
    env: ["REGISTRY_AUTH_TOKEN_KEY"],
  }),
  audit_log: option(path.optional(), {
    description:
      "The file that lines about denied and changing requests go to, instead of the log; it is made anew when it is moved away.",
    env: ["REGISTRY_AUTH_AUDIT_LOG"],
  }),
};
