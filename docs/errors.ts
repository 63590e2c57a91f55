import { errorTable } from "../src/server/errors.ts";

/** The reference of everything that the registry refuses, as Markdown. */
export function errorReference(): string {
  const rows = Object.entries(errorTable).map(
    ([code, { status, message }]) => `| \`${code}\` | ${status} | ${message.replaceAll("|", "\\|")} |`,
  );
  return `${introduction}\n${rows.join("\n")}\n`;
}

const introduction = `# Errors

This page is generated from the table in \`src/server/errors.ts\`.

What goes wrong by a client's doing, or can be tried again, has a code here. V1 answers \`{"error": "message"}\`, some routes with
a message of their own in its place; the code is in the log. V2 answers \`{"errors": [{"code", "message", "detail"}]}\`, with the
specification's word where it has one: \`SIZE_INVALID\` for \`BODY_TOO_LARGE\`, \`UNSUPPORTED\` for \`METHOD_NOT_ALLOWED\`. A fault of the server is status 500, logged with its cause and, when
that is configured, mailed and sent to Bugsnag. Every answer has an \`X-Request-Id\`, which is \`id\` in the log.

| code | status | message |
| --- | --- | --- |`;
