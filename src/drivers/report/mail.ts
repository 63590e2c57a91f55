import { readFile } from "node:fs/promises";
import type { SMTPTransportOptions, Transporter } from "nodemailer";
import { faultSubject, faultText } from "./fault-text.ts";
import { QueuedReporter, type ReporterContext } from "./queued.ts";
import type { Reporter } from "./reporter.ts";

/** `email_exceptions` of the configuration. */
export interface MailOptions {
  readonly smtp_host: string;
  readonly smtp_port: number;
  readonly smtp_login?: string | undefined;
  readonly smtp_password?: string | undefined;
  /** Whether TLS is insisted on and the server's certificate checked; with whose key and certificate we introduce ourselves. */
  readonly smtp_secure: boolean | ClientKey;
  readonly from_addr: string;
  /** One address, or several with commas. */
  readonly to_addr: string;
}

export interface ClientKey {
  /** PEM. Holds the certificate too unless `certfile` does. */
  readonly keyfile?: string | undefined;
  readonly certfile?: string | undefined;
  /** PEM of the authorities that the server's certificate is checked against, in place of the well-known ones. */
  readonly cafile?: string | undefined;
}

/**
 * Mails faults. Port 465 is TLS from the first byte. Elsewhere `smtp_secure` insists on STARTTLS with a valid certificate.
 * Without it STARTTLS is used where the server offers it, whatever its certificate; a login is sent in the clear to the
 * loopback interface alone.
 */
export function mailReporter(options: MailOptions, context: ReporterContext): Reporter {
  let transport: Promise<Transporter> | undefined;
  return new QueuedReporter(
    `mail by ${options.smtp_host}:${options.smtp_port}`,
    async (fault, untold, signal) => {
      transport ??= connect(options);
      const transporter = await transport.catch((error: unknown) => {
        transport = undefined;
        throw error;
      });
      await transporter.sendMail({
        from: options.from_addr,
        to: options.to_addr,
        subject: faultSubject(fault),
        text: faultText(fault, untold),
        date: fault.time,
        headers: { "Auto-Submitted": "auto-generated" },
        signal,
      });
    },
    context,
  );
}

async function connect(options: MailOptions): Promise<Transporter> {
  const { createTransport } = await import("nodemailer");
  const settings: SMTPTransportOptions = {
    host: options.smtp_host,
    port: options.smtp_port,
    secure: options.smtp_port === 465,
    ...(options.smtp_login !== undefined && {
      auth: { user: options.smtp_login, pass: options.smtp_password ?? "" },
    }),
    ...(await security(options)),
    connectionTimeout: 10_000,
    greetingTimeout: 10_000,
    socketTimeout: 10_000,
    socketCloseTimeout: 0,
    disableFileAccess: true,
    disableUrlAccess: true,
  };
  return createTransport(settings);
}

async function security(options: MailOptions): Promise<SMTPTransportOptions> {
  const { smtp_secure: secure } = options;
  if (secure === false) {
    const exposed = options.smtp_login !== undefined && !isLoopback(options.smtp_host);
    return { ...(exposed ? { requireTLS: true } : { opportunisticTLS: true }), tls: { rejectUnauthorized: false } };
  }
  const files = secure === true ? {} : secure;
  const [key, certificate, ca] = await Promise.all(
    [files.keyfile, files.certfile ?? files.keyfile, files.cafile].map(read),
  );
  return {
    requireTLS: true,
    tls: { ...(key && { key }), ...(certificate && { cert: certificate }), ...(ca && { ca }) },
  };
}

async function read(path: string | undefined): Promise<string | undefined> {
  return path === undefined ? undefined : await readFile(path, "utf8");
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127\.\d+\.\d+\.\d+$/.test(host);
}
