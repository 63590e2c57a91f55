import { Option, type CommandUnknownOpts } from "@commander-js/extra-typings";
import { access, mkdir } from "node:fs/promises";
import { dirname, relative, resolve } from "node:path";
import type { Draft } from "../../server/index.ts";
import { command, forceOption, type Context } from "../command.ts";
import { CommandError } from "../exit.ts";
import { firstLine, writeFiles } from "../files.ts";
import { invocation, shellWord } from "../invocation.ts";
import { variablesOf } from "../object-store-questions.ts";
import type { Answers } from "../questions.ts";

/** `init`: asks what the registry should be like and writes its configuration. */
export function init(context: Context): CommandUnknownOpts {
  return command(context, "init", {
    summary: "write a configuration, asking what should be in it",
    description:
      "Asks what the registry should be like and writes a configuration with what was chosen. Every question has an " +
      "option that answers it; --yes takes the defaults for the others.",
    examples: [
      "registryctl init",
      "registryctl init --yes --storage-path /srv/registry --host 0.0.0.0",
      "registryctl init --yes --storage s3 --bucket images",
      "registryctl init /etc/registryctl/config.yml --yes --behind-proxy --offload nginx --public-url https://registry.example.com",
    ],
  })
    .argument("[file]", "file to write", "config/config.yml")
    .option("-f, --flavor <name>", "name of the flavor in it", "prod")
    .option("-y, --yes", "take the defaults, ask nothing")
    .addOption(
      new Option("--storage <kind>", "where images are kept").choices([
        "local",
        "s3",
        "gcs",
        "swift",
        "elliptics",
        "memory",
      ] as const),
    )
    .option("--storage-path <path>", "folder of local storage, or the prefix of the keys in a bucket")
    .option("--bucket <name>", "bucket of storage s3 or gcs")
    .option("--s3-url <url>", "server that speaks S3 and is not Amazon's")
    .option("--s3-region <name>", "region of the bucket")
    .option("--gcs-key-file <file>", "key of a service account of Google's (JSON)")
    .option("--swift-url <url>", "where tokens for Swift come from")
    .option("--swift-container <name>", "container of storage swift")
    .option("--swift-user <name>", "user of storage swift")
    .option("--swift-project <name>", "project of that user")
    .option("--elliptics-nodes <list>", "nodes of storage elliptics, such as host:1025:2, with commas between them")
    .option("--elliptics-groups <list>", "groups that keep a copy each, such as 1,2")
    .option("--host <address>", "address to listen on")
    .option("--port <number>", "port to listen on")
    .option("--behind-proxy", "there is a proxy in front of it")
    .option("--no-behind-proxy", "there is none")
    .option("--trusted-proxies <list>", "addresses and networks of proxies that are believed")
    .addOption(
      new Option("--offload <server>", "proxy that sends layers by itself").choices([
        "none",
        "nginx",
        "apache",
      ] as const),
    )
    .option("--public-url <url>", "URL that clients use")
    .option("--tls", "the registry itself serves HTTPS")
    .option("--no-tls", "it serves HTTP")
    .option("--tls-certificate <file>", "its certificate (PEM)")
    .option("--tls-key <file>", "the certificate's private key (PEM)")
    .option("--standalone", "work without an index server")
    .option("--no-standalone", "ask an index server for tokens")
    .option("--index-endpoint <url>", "that index server")
    .option("--privileged-key <file>", "public key whose signed requests may do everything (PEM)")
    .addOption(new Option("--search <backend>", "what answers searches").choices(["database", "none"] as const))
    .option("--database <url>", "database of the search index")
    .option("--redis <url>", "Redis that keeps small files in memory")
    .option("--mail <url>", "mail server that faults are told through")
    .option("--mail-password-file <file>", "the password of the mail server's user, on the first line of a file")
    .option("--mail-to <address>", "who gets the mails")
    .option("--mail-from <address>", "who sends them")
    .addOption(
      new Option("--loglevel <level>", "how much is logged").choices([
        "debug",
        "info",
        "warn",
        "error",
        "critical",
      ] as const),
    )
    .option("--workers <count>", "how many processes serve requests")
    .addOption(forceOption)
    .action(async (file, { flavor, yes, force, mailPasswordFile, ...flags }) => {
      const { terminal } = context;
      const { cwd } = terminal.io;
      const path = resolve(cwd, file);
      if (!/^[\w.-]+$/.test(flavor) || flavor === "common")
        throw new CommandError("usage", `--flavor '${flavor}' is no name for a flavor`);
      if (!force && (await exists(path))) throw new CommandError("failed", `${path} exists; --force replaces it`);

      const [{ answer }, { draftOf, holdsSecrets }, { questions }, { renderConfig }] = await Promise.all([
        import("../questions.ts"),
        import("../new-configuration.ts"),
        import("../init-questions.ts"),
        import("../../server/index.ts"),
      ]);
      const given = new Map(Object.entries(flags));
      if (mailPasswordFile !== undefined)
        given.set("mailPassword", await firstLine("--mail-password-file", resolve(cwd, mailPasswordFile)));
      const answers = await answer(questions(cwd, path), { terminal, flags: implied(given), yes: yes ?? false });
      const draft = draftOf(answers, cwd);
      const content = renderConfig(
        { [flavor]: draft },
        {
          head: "The configuration of the registry, written by registryctl init. `registryctl check` tells whether it is right.",
        },
      );
      terminal.io.signal.throwIfAborted();
      await mkdir(dirname(path), { recursive: true });
      await writeFiles([{ path, content, secret: holdsSecrets(answers) }], force ?? false);

      await terminal.note(`wrote ${path}${places(draft)}\n\nNext:`);
      for (const line of next(context, path, flavor, answers)) await terminal.print(line);
    });
}

/** Where the data goes, which is a surprise to nobody who has read it here. */
function places(draft: Draft): string {
  const { storage_path: storage, sqlalchemy_index_database: database } = draft;
  const bucket = draft["s3_bucket"] ?? draft["boto_bucket"];
  const container = draft["swift_container"];
  const variables = variablesOf(draft);
  const file = /^sqlite:\/\/\/(?<path>.+)$/s.exec(String(database))?.groups?.["path"];
  return [
    ...(typeof bucket === "string" ? [`\nimages go to the bucket ${bucket}`] : []),
    ...(typeof container === "string" ? [`\nimages go to the container ${container}`] : []),
    ...(typeof storage === "string" && !bucket && !container ? [`\nimages go to ${storage}`] : []),
    ...(file === undefined ? [] : [`\nthe search index goes to ${file}`]),
    ...(variables.length > 0 ? [`\nsecrets are read from ${variables.join(" and ")} when the server starts`] : []),
  ].join("");
}

/** What a flag says beside its own question: who names a certificate wants TLS. */
function implied(flags: ReadonlyMap<string, string | boolean>): Answers {
  const all = new Map(flags);
  const imply = (flag: string, question: string, value: boolean): void => {
    if (flags.has(flag) && !flags.has(question)) all.set(question, value);
  };
  imply("tlsCertificate", "tls", true);
  imply("tlsKey", "tls", true);
  imply("trustedProxies", "behindProxy", true);
  imply("publicUrl", "behindProxy", true);
  if (flags.has("offload") && flags.get("offload") !== "none") imply("offload", "behindProxy", true);
  imply("indexEndpoint", "standalone", false);
  if (flags.has("database") && !flags.has("search")) all.set("search", "database");
  return all;
}

/** Commands that work as printed, in the folder where `init` ran. */
function next({ terminal }: Context, path: string, flavor: string, answers: Answers): string[] {
  const self = invocation(terminal.io);
  const near = relative(terminal.io.cwd, path);
  const config = near === "config/config.yml" ? "" : ` --config ${shellWord(near.startsWith("..") ? path : near)}`;
  const at = `${flavor === "dev" ? "" : ` --flavor ${flavor}`}${config}`;
  const proxy = answers.get("offload") === "apache" ? "gen-apache" : "gen-nginx";
  const commands = ["check", "serve", ...(answers.get("behindProxy") === true ? [proxy] : [])];
  return commands.map((name) => `${self} ${name}${at}`);
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch {
    return false;
  }
}
