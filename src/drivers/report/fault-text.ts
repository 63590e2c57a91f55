import { causesOf } from "./causes.ts";
import type { Fault } from "./reporter.ts";
import { scrubbed, scrubbedLine } from "./scrub.ts";

const longestStack = 5_000;

/** One line for the subject of a mail. */
export function faultSubject(fault: Fault): string {
  const host = scrubbedLine(fault.server.host, 60);
  return `registryctl fault on ${host}: ${scrubbedLine(fault.error.message || fault.error.name, 120)}`;
}

/** What an operator needs to look into a fault, without secrets. `untold` faults before it were not sent. */
export function faultText(fault: Fault, untold: number): string {
  const { server, request } = fault;
  const facts: [string, string][] = [
    ["Time", fault.time.toISOString()],
    ["Host", server.host],
    ["Version", server.version],
    ["Flavor", server.flavor],
  ];
  if (request) {
    facts.push(
      ["Request id", request.id],
      ["Request", requestLine(request)],
      ...(request.status === undefined ? [] : [["Status", String(request.status)] satisfies [string, string]]),
      ["Client", request.remoteAddress],
      ["User agent", request.userAgent],
    );
  }
  const lines = facts.map(([name, value]) => `${`${name}:`.padEnd(12)}${scrubbedLine(value, 500)}`);
  const stacks = causesOf(fault.error).map((error, at) => `${at === 0 ? "" : "Caused by: "}${stackOf(error)}`);
  return [lines.join("\n"), ...stacks, ...(untold > 0 ? [untoldText(untold)] : [])].join("\n\n") + "\n";
}

/** `GET /v1/_ping`: never with a query string. */
export function requestLine(request: NonNullable<Fault["request"]>): string {
  return scrubbedLine(`${request.method} ${request.path.replace(/\?.*$/s, "")}`, 500);
}

function stackOf(error: Error): string {
  return scrubbed(error.stack ?? `${error.name}: ${error.message}`, longestStack);
}

function untoldText(untold: number): string {
  return `And ${untold} more since the last mail that arrived: the server's log has them all.`;
}
