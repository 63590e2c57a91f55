import { Command, InvalidArgumentError } from "@commander-js/extra-typings";

/** What the command line of a run says. */
export interface Options {
  /** "docker-registry", a URL, the bin/registryctl.js of another version, or "none". */
  readonly peer: string;
  /** The bin/registryctl.js that is measured; undefined is this checkout's. */
  readonly program: string | undefined;
  /** A folder for CPU profiles of registryctl. */
  readonly profile: string | undefined;
  readonly workers: number | "auto";
  readonly rounds: number;
  /** Names of workloads, or of groups of them; undefined is all. */
  readonly only: readonly string[] | undefined;
  readonly isQuick: boolean;
  readonly json: string | undefined;
  readonly folder: string | undefined;
  /** Bytes of memory that are left to what is measured; undefined is all there is. */
  readonly freeMemory: number | undefined;
  readonly mustMeetTargets: boolean;
  readonly isList: boolean;
}

/** Parses arguments; help and wrong usage throw commander's error after they were written to `write`. */
export function parseOptions(args: readonly string[], write: (text: string) => void): Options {
  const command = new Command("npm run bench --")
    .description("Measures registryctl beside another registry on this machine.")
    .option(
      "--peer <name>",
      "docker-registry (Debian's), the URL of one that runs, the bin/registryctl.js of another version, or none",
      peer,
      "docker-registry",
    )
    .option("--profile <folder>", "write CPU profiles of registryctl there, and print what took the time")
    .option("--program <file>", "the bin/registryctl.js that is measured (default: this checkout's)")
    .option("--workers <count>", "how many processes of registryctl serve; auto is one a processor", workers, 1)
    .option("--rounds <count>", "how many samples are taken of each, in turn", count, 5)
    .option(
      "--only <names>",
      "workloads or groups, separated by commas; see --list (default: all but those of object stores)",
      (text) => text.split(","),
    )
    .option("--quick", "one round of small sizes: shows that everything works, not how fast")
    .option("--json <file>", "write all figures to this file")
    .option("--folder <path>", "where stores are kept while they are measured (default: the system's temporary folder)")
    .option(
      "--free-memory <GiB>",
      "hold all memory but this meanwhile, as a machine does that is in use for long",
      gibibytes,
    )
    .option("--check", "exit with 1 when a target is missed")
    .option("--list", "print the names of the workloads and groups")
    .helpOption("-h, --help", "show this help")
    .exitOverride()
    .configureOutput({ writeOut: write, writeErr: write })
    .parse([...args], { from: "user" });
  const options = command.opts();
  return {
    peer: options.peer,
    program: options.program,
    profile: options.profile,
    workers: options.workers,
    rounds: options.quick ? 1 : options.rounds,
    only: options.only,
    isQuick: options.quick ?? false,
    json: options.json,
    folder: options.folder,
    freeMemory: options.freeMemory,
    mustMeetTargets: options.check ?? false,
    isList: options.list ?? false,
  };
}

function peer(text: string): string {
  if (text === "docker-registry" || text === "none" || text.endsWith(".js")) return text;
  if (URL.canParse(text) && new URL(text).protocol === "http:" && new URL(text).port !== "") return text;
  throw new InvalidArgumentError(
    "It is docker-registry, none, a file.js, or a URL with a port such as http://127.0.0.1:5000.",
  );
}

function count(text: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= 1 && value <= 1000) return value;
  throw new InvalidArgumentError("It is a number from 1 to 1000.");
}

function gibibytes(text: string): number {
  return count(text) * 1024 ** 3;
}

function workers(text: string): number | "auto" {
  return text === "auto" ? text : count(text);
}
