import { isIP } from "node:net";
import { resolve } from "node:path";
import { objectStoreQuestions } from "./object-store-questions.ts";
import type { Answers, Question } from "./questions.ts";

/**
 * What `init` asks, in this order, when it is run in `cwd` to write `file`. A configuration of the whole machine keeps
 * its data where such data belongs; others keep it where they are made.
 */
export function questions(cwd: string, file: string): readonly Question[] {
  const home = file.startsWith("/etc/") ? "/var/lib/registryctl" : cwd;
  return [
    {
      name: "storage",
      flag: "--storage",
      kind: "select",
      message: "Where are images kept?",
      choices: [
        { value: "local", hint: "in a folder of this machine" },
        { value: "s3", hint: "in a bucket of Amazon S3, Ceph or another server that speaks S3" },
        { value: "gcs", hint: "in a bucket of Google Cloud Storage" },
        { value: "swift", hint: "in a container of OpenStack Swift" },
        { value: "elliptics", hint: "in an Elliptics cluster" },
        { value: "memory", hint: "nowhere: all is forgotten at the end; for tests" },
      ],
      initial: () => "local",
    },
    {
      name: "storagePath",
      flag: "--storage-path",
      kind: "text",
      message: "In which folder? One that an older registry has filled will do",
      initial: () => resolve(home, home === cwd ? "data" : "storage"),
      validate: (path) => path !== "" || "name a folder",
      when: (answers) => answers.get("storage") === "local",
    },
    ...objectStoreQuestions,
    {
      name: "host",
      flag: "--host",
      kind: "text",
      message: "On which address does it listen? 0.0.0.0 is every one of this machine",
      initial: () => "127.0.0.1",
      validate: (host) => /^[\w.:-]+$|^unix:\//.test(host) || "give an address or a name",
    },
    {
      name: "port",
      flag: "--port",
      kind: "text",
      message: "On which port?",
      initial: () => "5000",
      validate: (port) => (/^\d{1,5}$/.test(port) && Number(port) <= 65535) || "give a number from 0 to 65535",
    },
    {
      name: "behindProxy",
      flag: "--behind-proxy or --no-behind-proxy",
      kind: "confirm",
      message: "Is there a proxy such as nginx or Apache in front of it?",
      initial: (answers) => answers.has("trustedProxies") || answers.has("offload"),
    },
    {
      name: "trustedProxies",
      flag: "--trusted-proxies",
      kind: "text",
      message: "From which addresses does that come? (separated by commas)",
      initial: () => "127.0.0.1,::1",
      validate: (list) => words(list).every(isNetwork) || "give addresses, or networks such as 10.0.0.0/8",
      when: (answers) => answers.get("behindProxy") === true,
    },
    {
      name: "offload",
      flag: "--offload",
      kind: "select",
      message: "May that proxy send layers from the storage folder by itself?",
      choices: [
        { value: "none", hint: "the registry sends them" },
        { value: "nginx", hint: "X-Accel-Redirect; gen-nginx writes its configuration" },
        { value: "apache", hint: "X-Sendfile; gen-apache writes its configuration" },
      ],
      initial: () => "none",
      when: (answers) => answers.get("behindProxy") === true && answers.get("storage") === "local",
    },
    {
      name: "publicUrl",
      flag: "--public-url",
      kind: "text",
      message: "Under which URL do clients reach it? (empty: as they say)",
      initial: () => "",
      validate: (url) =>
        url === "" ||
        (/^https?:\/\//.test(url) && URL.canParse(url)) ||
        "give a URL such as https://registry.example.com",
      when: (answers) => answers.get("behindProxy") === true,
    },
    {
      name: "tls",
      flag: "--tls or --no-tls",
      kind: "confirm",
      message: "Does the registry itself serve HTTPS?",
      initial: () => false,
      when: (answers) => answers.get("behindProxy") === false,
    },
    {
      name: "tlsCertificate",
      flag: "--tls-certificate",
      kind: "text",
      message: "Which file has its certificate, and the chain below it? (PEM)",
      initial: () => resolve(cwd, "registry.crt"),
      validate: (path) => path !== "" || "name a file",
      when: (answers) => answers.get("tls") === true,
    },
    {
      name: "tlsKey",
      flag: "--tls-key",
      kind: "text",
      message: "Which file has the certificate's private key? (PEM)",
      initial: () => resolve(cwd, "registry.key"),
      validate: (path) => path !== "" || "name a file",
      when: (answers) => answers.get("tls") === true,
    },
    {
      name: "standalone",
      flag: "--standalone or --no-standalone",
      kind: "confirm",
      message: "Does it work on its own, without an index server that hands out tokens?",
      initial: (answers) => !answers.has("indexEndpoint"),
    },
    {
      name: "indexEndpoint",
      flag: "--index-endpoint",
      kind: "text",
      message: "Where is the index server?",
      initial: () => "https://index.docker.io",
      validate: (url) =>
        (/^https?:\/\//.test(url) && URL.canParse(url)) || "give a URL such as https://index.example.com",
      when: (answers) => answers.get("standalone") === false,
    },
    {
      name: "privilegedKey",
      flag: "--privileged-key",
      kind: "text",
      message: "Which public key may do everything? (a PEM file, as keygen makes it; empty: none)",
      initial: () => "",
    },
    {
      name: "search",
      flag: "--search",
      kind: "select",
      message: "What answers `docker search`?",
      choices: [
        { value: "database", hint: "SQLite or PostgreSQL, filled from what is stored" },
        { value: "none", hint: "every search finds nothing" },
      ],
      initial: () => "database",
    },
    {
      name: "database",
      flag: "--database",
      kind: "text",
      message: "Which database? (sqlite:////path or postgresql://user:password@host:port/name)",
      initial: (answers) => nearbyDatabase(answers, cwd, home),
      validate: (url) =>
        /^(sqlite:\/\/$|sqlite:\/\/\/.|postgres(ql)?:\/\/.)/.test(url) || "give a sqlite:/// or postgresql:// URL",
      when: (answers) => answers.get("search") === "database",
    },
    {
      name: "redis",
      flag: "--redis",
      kind: "text",
      message: "Which Redis keeps small files in memory? (redis://host:port/db; empty: none)",
      initial: () => "",
      validate: (url) => url === "" || isUrl(url, ["redis:"]) || "give a URL such as redis://127.0.0.1:6379/0",
    },
    {
      name: "mail",
      flag: "--mail",
      kind: "text",
      message: "Which mail server tells you of faults? (smtp://user@host:port, smtps:// with TLS; empty: none)",
      initial: () => "",
      validate: (url) =>
        url === "" || isUrl(url, ["smtp:", "smtps:"]) || "give a URL such as smtp://mail.example.com:25",
    },
    {
      name: "mailPassword",
      flag: "--mail-password-file",
      kind: "secret",
      message: "What is that user's password?",
      when: (answers) => needsPassword(String(answers.get("mail") ?? "")),
    },
    {
      name: "mailTo",
      flag: "--mail-to",
      kind: "text",
      message: "Who gets the mails?",
      initial: () => "root@localhost",
      validate: (address) => address !== "" || "give an address",
      when: (answers) => Boolean(answers.get("mail")),
    },
    {
      name: "mailFrom",
      flag: "--mail-from",
      kind: "text",
      message: "Who sends them?",
      initial: () => "registryctl@localhost",
      validate: (address) => address !== "" || "give an address",
      when: (answers) => Boolean(answers.get("mail")),
    },
    {
      name: "loglevel",
      flag: "--loglevel",
      kind: "select",
      message: "How much does it log?",
      choices: ["debug", "info", "warn", "error", "critical"].map((value) => ({ value })),
      initial: () => "info",
    },
    {
      name: "workers",
      flag: "--workers",
      kind: "text",
      message: "How many processes serve requests? (a number, or auto: one a processor)",
      initial: () => "1",
      validate: (count) =>
        count === "auto" ||
        (/^\d{1,4}$/.test(count) && Number(count) >= 1 && Number(count) <= 1024) ||
        "give a number from 1 to 1024, or auto",
      when: (answers) => answers.get("storage") !== "memory",
    },
  ];
}

/** In the storage folder: one folder that the server must be able to write, and that moves as a whole. */
function nearbyDatabase(answers: Answers, cwd: string, home: string): string {
  if (answers.get("storage") === "memory") return "sqlite://";
  const storage = String(answers.get("storagePath") ?? "");
  const isPlain = storage !== "" && !/^(~\/|_env:)|\?/.test(storage);
  return `sqlite:///${resolve(isPlain ? resolve(cwd, storage) : home, "search.db")}`;
}

function needsPassword(text: string): boolean {
  if (!isUrl(text, ["smtp:", "smtps:"])) return false;
  const { username, password } = new URL(text);
  return username !== "" && password === "";
}

function isUrl(text: string, protocols: readonly string[]): boolean {
  return URL.canParse(text) && protocols.includes(new URL(text).protocol) && new URL(text).hostname !== "";
}

function isNetwork(text: string): boolean {
  return /^[^/]+(\/\d{1,3})?$/.test(text) && isIP(text.replace(/\/.*/, "")) !== 0;
}

/** The parts of a list that commas or spaces separate. */
export function words(list: string): string[] {
  return list.split(/[\s,]+/).filter((word) => word !== "");
}
