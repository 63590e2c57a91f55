import type { Draft } from "../server/index.ts";
import type { Answers, Question } from "./questions.ts";

const isStorage =
  (...names: readonly string[]) =>
  (answers: Answers): boolean =>
    names.includes(String(answers.get("storage")));

const isUrl = (text: string): boolean => /^https?:\/\//.test(text) && URL.canParse(text);

/** What `init` asks of a storage that is no folder. Secrets are not asked for: the configuration names variables for them. */
export const objectStoreQuestions: readonly Question[] = [
  {
    name: "bucket",
    flag: "--bucket",
    kind: "text",
    message: "Which bucket? It has to exist",
    initial: () => "",
    validate: (name) => /^[a-z\d][\w.-]+$/i.test(name) || "name a bucket",
    when: isStorage("s3", "gcs"),
  },
  {
    name: "s3Url",
    flag: "--s3-url",
    kind: "text",
    message: "Where is the server? (https://host:port; empty: Amazon)",
    initial: () => "",
    validate: (url) => url === "" || isUrl(url) || "give a URL such as https://ceph.example.com",
    when: isStorage("s3"),
  },
  {
    name: "s3Region",
    flag: "--s3-region",
    kind: "text",
    message: "In which region is the bucket? (empty: Amazon is asked, others have one)",
    initial: () => "",
    when: isStorage("s3"),
  },
  {
    name: "gcsKeyFile",
    flag: "--gcs-key-file",
    kind: "text",
    message: "Which file has a service account's key? (JSON; empty: HMAC keys)",
    initial: () => "",
    when: isStorage("gcs"),
  },
  {
    name: "swiftUrl",
    flag: "--swift-url",
    kind: "text",
    message: "Where do tokens come from? (such as https://keystone.example.com:5000/v3)",
    initial: () => "",
    validate: (url) => isUrl(url) || "give the URL that OpenStack calls OS_AUTH_URL",
    when: isStorage("swift"),
  },
  {
    name: "swiftContainer",
    flag: "--swift-container",
    kind: "text",
    message: "Which container? It is made when it is missing",
    initial: () => "registry",
    validate: (name) => (name !== "" && !name.includes("/")) || "name a container",
    when: isStorage("swift"),
  },
  {
    name: "swiftUser",
    flag: "--swift-user",
    kind: "text",
    message: "As which user?",
    initial: () => "",
    validate: (name) => name !== "" || "name a user",
    when: isStorage("swift"),
  },
  {
    name: "swiftProject",
    flag: "--swift-project",
    kind: "text",
    message: "In which project? (empty: none, as with tokens of Swift's own)",
    initial: () => "",
    when: isStorage("swift"),
  },
  {
    name: "ellipticsNodes",
    flag: "--elliptics-nodes",
    kind: "text",
    message: "Which nodes are connected to? (host:port:family, such as 192.0.2.1:1025:2; separated by commas)",
    initial: () => "",
    validate: (list) => /^[^\s,]+:\d+([\s,]+[^\s,]+:\d+)*$/.test(list) || "name nodes such as 192.0.2.1:1025:2",
    when: isStorage("elliptics"),
  },
  {
    name: "ellipticsGroups",
    flag: "--elliptics-groups",
    kind: "text",
    message: "Which groups keep a copy each? (separated by commas)",
    initial: () => "1",
    validate: (list) => /^\d+(,\d+)*$/.test(list) || "give numbers such as 1,2",
    when: isStorage("elliptics"),
  },
];

/** The options that the answers come to; `file` makes a path absolute. Nothing for local storage. */
export function objectStoreDraft(answers: Answers, file: (name: string) => string | undefined): Draft {
  const said = (name: string): string | undefined => String(answers.get(name) ?? "") || undefined;
  switch (String(answers.get("storage"))) {
    case "s3":
      return {
        s3_bucket: said("bucket"),
        ...serverOf(said("s3Url")),
        s3_region: said("s3Region"),
        s3_access_key: "_env:AWS_KEY",
        s3_secret_key: "_env:AWS_SECRET",
      };
    case "gcs": {
      const key = file("gcsKeyFile");
      const hmac = { gs_access_key: "_env:GCS_KEY", gs_secret_key: "_env:GCS_SECRET" };
      return {
        boto_bucket: said("bucket"),
        ...(key === undefined ? hmac : { oauth2: true, gs_service_key_file: key }),
      };
    }
    case "swift":
      return {
        swift_authurl: said("swiftUrl"),
        swift_container: said("swiftContainer"),
        swift_user: said("swiftUser"),
        swift_password: "_env:OS_PASSWORD",
        swift_tenant_name: said("swiftProject"),
      };
    case "elliptics":
      return {
        elliptics_nodes: said("ellipticsNodes")?.split(/[\s,]+/),
        elliptics_groups: said("ellipticsGroups")?.split(",").map(Number),
      };
    default:
      return {};
  }
}

/** The variables that a draft of these needs when the server runs. */
export function variablesOf(draft: Draft): readonly string[] {
  return Object.values(draft).flatMap((value) =>
    typeof value === "string" ? (/^_env:(\w+)$/.exec(value)?.[1] ?? []) : [],
  );
}

function serverOf(text: string | undefined): Draft {
  if (text === undefined) return {};
  const { hostname, port, protocol } = new URL(text);
  // Who keeps a server of their own rarely has set up what it would encrypt with.
  return {
    boto_host: hostname,
    boto_port: port === "" ? undefined : Number(port),
    s3_secure: protocol === "https:",
    s3_encrypt: false,
  };
}
