import { chmod, chown, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { once } from "node:events";
import type { Context } from "mocha";
import { accountOf } from "./account.ts";
import { makeCertificates } from "./certificates.ts";
import { findProgram, needs } from "./needs.ts";
import { freePort, Program, removeFolder, temporaryFolder, until } from "./program.ts";

/** For `before` hooks, as `needs`: Exim is there, and we are root, as it has to be started by. */
export function needsExim(context: Context): void {
  needs(context, "exim4", "openssl");
  if (process.getuid?.() === 0) return;
  const message = "Exim can be started by root alone";
  if (process.env["REGISTRYCTL_TEST_REQUIRE"] === "all") throw new Error(message);
  process.stderr.write(`  skipped: ${message}\n`);
  context.skip();
}

/** What a server insists on before it takes a mail. */
export interface EximRules {
  /** STARTTLS, with a certificate for 127.0.0.1 by the authority in `authority`; else TLS is not even offered. */
  readonly tls?: boolean;
  /** A client certificate by the same authority. */
  readonly clientCertificate?: boolean;
  /** The login `mailer` with the password `pass of mailer`. */
  readonly login?: boolean;
}

/** A mail as it arrived. */
export interface Mail {
  readonly headers: ReadonlyMap<string, string>;
  readonly text: string;
}

/** An Exim of the test's own that delivers whatever it takes into one Maildir. Needs root, to become Exim's user. */
export class EximServer {
  readonly port: number;
  readonly login = { smtp_login: "mailer", smtp_password: "pass of mailer" } as const;
  readonly #folder: string;
  #program: Program | undefined;

  private constructor(folder: string, port: number) {
    this.#folder = folder;
    this.port = port;
  }

  static async start(rules: EximRules): Promise<EximServer> {
    const server = new EximServer(await temporaryFolder("registryctl-exim"), await freePort());
    try {
      await server.#initialise(rules);
      await server.resume();
      return server;
    } catch (error) {
      await server.destroy();
      throw error;
    }
  }

  /** PEM files: the authority's certificate, and a client's key and certificate. */
  get authority(): string {
    return join(this.#folder, "authority.pem");
  }
  get clientKey(): string {
    return join(this.#folder, "client.key");
  }
  get clientCertificate(): string {
    return join(this.#folder, "client.pem");
  }

  async resume(): Promise<void> {
    this.#program = new Program(findProgram("exim4") ?? "exim4", ["-C", join(this.#folder, "exim.conf"), "-bdf"], {
      cwd: this.#folder,
    });
    await this.#program.ready("Exim", async () => {
      const socket = connect(this.port, "127.0.0.1");
      await once(socket, "data");
      socket.end("QUIT\r\n");
      return true;
    });
  }

  /** Also waits for the processes that serve connections and deliver: they hold the port, and write to the folder. */
  async stop(): Promise<void> {
    await this.#program?.stop();
    const running = async () => await isRunning(join(this.#folder, "exim.conf"));
    // Twice: one that starts another and ends while the list is read can hide both.
    await until("Exim's processes to end", async () => !(await running()) && !(await running()));
  }

  async destroy(): Promise<void> {
    await this.stop();
    await removeFolder(this.#folder);
  }

  /** What has been delivered, in any order: each mail has a process of its own. */
  async mails(): Promise<Mail[]> {
    const folder = join(this.#folder, "maildir", "new");
    const names = await readdir(folder).catch(() => []);
    const texts = await Promise.all(names.map((name) => readFile(join(folder, name), "utf8")));
    return texts.map(parseMail);
  }

  async log(): Promise<string> {
    return await readFile(join(this.#folder, "log", "mainlog"), "utf8");
  }

  async #initialise(rules: EximRules): Promise<void> {
    const { uid, gid } = await accountOf("Debian-exim");
    await chmod(this.#folder, 0o755);
    for (const name of ["spool", "maildir", "log"]) {
      await mkdir(join(this.#folder, name));
      await chown(join(this.#folder, name), uid, gid);
    }
    await makeCertificates(this.#folder);
    await chown(join(this.#folder, "server.key"), uid, gid);
    await writeFile(join(this.#folder, "exim.conf"), configuration(this.#folder, this.port, rules), { mode: 0o644 });
  }
}

/** Whether a process has `argument` in its command line. */
async function isRunning(argument: string): Promise<boolean> {
  const processes = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(processes.map((id) => readFile(`/proc/${id}/cmdline`, "utf8").catch(() => "")));
  return lines.some((line) => line.split("\0").includes(argument));
}

function configuration(folder: string, port: number, rules: EximRules): string {
  const tls = `
tls_advertise_hosts = *
tls_certificate = ${folder}/server.pem
tls_privatekey = ${folder}/server.key
tls_verify_certificates = ${folder}/authority.pem
${rules.clientCertificate ? "tls_verify_hosts = *" : ""}`;
  return `
primary_hostname = mail.test
exim_user = Debian-exim
exim_group = Debian-exim
spool_directory = ${folder}/spool
log_file_path = ${folder}/log/%slog
pid_file_path = ${folder}/spool/exim.pid
daemon_smtp_ports = ${port}
local_interfaces = 127.0.0.1
disable_ipv6 = true
${rules.tls ? tls : "tls_advertise_hosts ="}
auth_advertise_hosts = *
acl_smtp_mail = sender
acl_smtp_rcpt = recipient
host_lookup =
rfc1413_hosts =
keep_environment =
never_users =
log_selector = +tls_peerdn
begin acl
sender:
  ${rules.tls ? "deny message = use STARTTLS\n  ! encrypted = *" : ""}
  accept
recipient:
  ${rules.login ? "deny message = log in\n  ! authenticated = *" : ""}
  accept
begin routers
all:
  driver = accept
  transport = maildir
begin transports
maildir:
  driver = appendfile
  directory = ${folder}/maildir
  maildir_format
  envelope_to_add
  return_path_add
  user = Debian-exim
  group = Debian-exim
begin authenticators
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = <| Username: | Password:
  server_condition = \${if and{{eq{$auth1}{mailer}}{eq{$auth2}{pass of mailer}}}}
  server_set_id = $auth1
`;
}

function parseMail(raw: string): Mail {
  const end = raw.indexOf("\n\n");
  const unfolded = raw.slice(0, end).replace(/\n[ \t]+/g, " ");
  const headers = new Map(
    unfolded.split("\n").map((line) => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon).toLowerCase(), decodedWords(line.slice(colon + 1).trim())] as const;
    }),
  );
  return { headers, text: decodedBody(raw.slice(end + 2), headers.get("content-transfer-encoding") ?? "7bit") };
}

/** RFC 2047. */
function decodedWords(value: string): string {
  return value
    .replace(/\?=\s+=\?/g, "?==?")
    .replace(/=\?utf-8\?([qb])\?([^?]*)\?=/gi, (_, kind: string, text: string) =>
      kind.toLowerCase() === "b"
        ? Buffer.from(text, "base64").toString("utf8")
        : quotedPrintable(text.replaceAll("_", " ")),
    );
}

function decodedBody(body: string, encoding: string): string {
  switch (encoding) {
    case "quoted-printable":
      return quotedPrintable(body.replace(/=\n/g, ""));
    case "base64":
      return Buffer.from(body, "base64").toString("utf8").replaceAll("\r\n", "\n");
    default:
      return body;
  }
}

function quotedPrintable(text: string): string {
  const bytes = text.replace(/=([0-9A-F]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(bytes, "latin1").toString("utf8");
}
