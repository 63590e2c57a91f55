import { causesOf } from "./causes.ts";
import { requestLine } from "./fault-text.ts";
import { QueuedReporter, type ReporterContext } from "./queued.ts";
import type { Fault, Reporter } from "./reporter.ts";
import { scrubbed, scrubbedLine } from "./scrub.ts";

export interface BugsnagOptions {
  readonly apiKey: string;
  readonly endpoint: string | URL;
}

/**
 * Tells Bugsnag of faults (its Error Reporting API, payload version 5). Not by the `@bugsnag/node` package: that has no
 * timeout for what it sends, can't be waited for or stopped at shutdown, and keeps failures to itself.
 */
export function bugsnagReporter(options: BugsnagOptions, context: ReporterContext): Reporter {
  return new QueuedReporter(
    `bugsnag at ${new URL(options.endpoint).host}`,
    async (fault, untold, signal) => {
      const response = await fetch(options.endpoint, {
        method: "POST",
        headers: {
          "Content-Type": "application/json",
          "Bugsnag-Api-Key": options.apiKey,
          "Bugsnag-Payload-Version": "5",
          "Bugsnag-Sent-At": new Date().toISOString(),
        },
        body: JSON.stringify(payload(options.apiKey, fault, untold)),
        redirect: "error",
        signal,
      });
      await response.body?.cancel();
      if (!response.ok) throw new Error(`it answered ${response.status}`);
    },
    context,
  );
}

function payload(apiKey: string, fault: Fault, untold: number) {
  const { server, request } = fault;
  return {
    apiKey,
    payloadVersion: "5",
    notifier: {
      name: "registryctl",
      version: server.version,
      url: "https://www.npmjs.com/package/registryctl",
    },
    events: [
      {
        exceptions: causesOf(fault.error).map(exception),
        context: request ? requestLine(request) : "registryctl",
        severity: "error",
        severityReason: { type: "unhandledErrorMiddleware", attributes: { framework: "Koa" } },
        unhandled: true,
        app: { version: server.version, releaseStage: server.flavor, type: "server" },
        device: { hostname: server.host, time: fault.time.toISOString() },
        ...(request && {
          request: {
            clientIp: request.remoteAddress,
            httpMethod: request.method,
            url: requestLine(request).slice(request.method.length + 1),
          },
        }),
        metaData: {
          ...(request && {
            request: { id: request.id, status: request.status, userAgent: scrubbedLine(request.userAgent, 500) },
          }),
          registryctl: { faultsNotSentBefore: untold },
        },
      },
    ],
  };
}

function exception(error: Error) {
  return {
    errorClass: error.name,
    message: scrubbed(error.message, 2000),
    type: "nodejs",
    stacktrace: framesOf(error.stack ?? ""),
  };
}

/** The frames of a stack as V8 writes it, innermost first. */
function framesOf(stack: string) {
  const lines = stack.split("\n").filter((line) => /^\s+at /.test(line));
  return lines.slice(0, 50).map((line) => {
    const [, method, file = "", lineNumber, columnNumber] =
      /^\s+at (?:(.*?) \()?(?:file:\/\/)?(.*?)(?::(\d+):(\d+))?\)?$/.exec(line) ?? [];
    return {
      file: scrubbed(file, 500),
      lineNumber: Number(lineNumber ?? 0),
      columnNumber: Number(columnNumber ?? 0),
      method: method ?? "<anonymous>",
      inProject: file.startsWith("/") && !file.includes("/node_modules/"),
    };
  });
}
