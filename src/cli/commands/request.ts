import { Option, type CommandUnknownOpts } from "@commander-js/extra-typings";
import { constants, createReadStream } from "node:fs";
import { access, stat } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { resolve } from "node:path";
import { Readable } from "node:stream";
import { command, jsonOption, repeated, type Context } from "../command.ts";
import { CommandError } from "../exit.ts";
import { readNamed } from "../files.ts";
import { send } from "../http.ts";
import { privateKey } from "../private-key.ts";

/** `request`: what the holder of the privileged key may ask of a registry, signed. */
export function request(context: Context): CommandUnknownOpts {
  return command(context, "request", {
    summary: "send a signed, privileged request",
    description:
      "Sends a request signed with the private half of the registry's privileged_key. The body of the answer goes to " +
      "stdout and its status to stderr; a status of 400 or more is a failure.",
    examples: [
      "registryctl request GET /v1/repositories/library/app/tags --key registry-key.pem",
      'registryctl request PUT /v1/repositories/library/app/properties --key registry-key.pem --data \'{"access": "private"}\'',
      "registryctl request GET /v1/images/ID/layer --key registry-key.pem --url https://registry.example.com > layer.tar",
    ],
  })
    .argument("<method>", "HTTP method")
    .argument("<path>", "path and query, as /v1/…")
    .requiredOption("-k, --key <file>", "private key that signs the request (PEM)")
    .option("-u, --url <url>", "where the registry is", "http://127.0.0.1:5000")
    .option("-H, --header <line>", "a header as `Name: value`; may be repeated", repeated)
    .addOption(new Option("-d, --data <text>", "body of the request").conflicts("dataFile"))
    .option("--data-file <file>", "file with the body of the request; - is stdin")
    .addOption(
      new Option("--hash <name>", "hash of the signature; old registries know sha1 alone")
        .choices(["sha1", "sha256"] as const)
        .default("sha1" as const),
    )
    .option("--ca <file>", "certificates to trust beside the system's (PEM)")
    .addOption(jsonOption)
    .action(async (method, path, options) => {
      const { terminal } = context;
      const { cwd, signal } = terminal.io;
      const url = target(options.url, path);
      const body = await requestBody(context, options);
      const headers = { ...body?.headers, ...parseHeaders(options.header ?? []) };
      const { sign } = await import("../../server/index.ts");
      const key = await privateKey(resolve(cwd, options.key));
      const signed = sign({ method, path: url.pathname, headers }, key, options.hash);
      const response = await send({
        method,
        url,
        headers: { ...headers, "X-Signature": signed },
        signal,
        ...(body && { body: body.content }),
        ...(options.ca !== undefined && { ca: await readNamed("--ca", resolve(cwd, options.ca)) }),
      });
      await (options.json ? answerAsJson(context, response) : answer(context, response));
      if ((response.statusCode ?? 0) >= 400) throw new CommandError("failed", "");
    });
}

interface Body {
  readonly headers: Readonly<Record<string, string>>;
  readonly content: Readable;
}

async function requestBody(
  { terminal }: Context,
  options: { readonly data?: string | undefined; readonly dataFile?: string | undefined },
): Promise<Body | undefined> {
  if (options.data !== undefined) {
    const bytes = Buffer.from(options.data);
    return {
      headers: { "Content-Type": "application/json", "Content-Length": String(bytes.length) },
      content: Readable.from([bytes]),
    };
  }
  if (options.dataFile === undefined) return undefined;
  const type = { "Content-Type": "application/octet-stream" };
  if (options.dataFile === "-") {
    return { headers: type, content: Readable.from(terminal.progress("sending", terminal.io.stdin)) };
  }
  const path = resolve(terminal.io.cwd, options.dataFile);
  const size = await sizeOf(path);
  const file = createReadStream(path);
  return {
    headers: { ...type, "Content-Length": String(size) },
    content: Readable.from(terminal.progress("sending", file, size)),
  };
}

async function sizeOf(path: string): Promise<number> {
  try {
    await access(path, constants.R_OK);
    return (await stat(path)).size;
  } catch (error) {
    throw new CommandError("failed", `--data-file ${path} cannot be read`, { cause: error });
  }
}

function parseHeaders(lines: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    lines.map((line) => {
      const [, name, value] = /^([!#$%&'*+.^_`|~\w-]+):\s*(.*?)\s*$/.exec(line) ?? [];
      if (name === undefined || value === undefined) {
        throw new CommandError("usage", `--header '${line}' is not of the form 'Name: value'`);
      }
      return [name, value];
    }),
  );
}

function target(base: string, path: string): URL {
  if (!path.startsWith("/")) throw new CommandError("usage", `the path '${path}' must begin with /`);
  if (!/^https?:\/\//.test(base) || !URL.canParse(base)) {
    throw new CommandError("usage", `--url '${base}' must begin with http:// or https://`);
  }
  return new URL(base.replace(/\/+$/, "") + path);
}

async function answer({ terminal }: Context, response: IncomingMessage): Promise<void> {
  await terminal.note(`${response.statusCode ?? 0} ${response.statusMessage ?? ""}`.trim());
  await terminal.copy(response);
  if (terminal.io.stdout.isTTY) await terminal.print("");
}

async function answerAsJson({ terminal }: Context, response: IncomingMessage): Promise<void> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of response as AsyncIterable<Uint8Array>) chunks.push(chunk);
  const bytes = Buffer.concat(chunks);
  const text = bytes.toString("utf8");
  const body = Buffer.from(text).equals(bytes) ? { body: text } : { bodyBase64: bytes.toString("base64") };
  await terminal.json({
    status: response.statusCode,
    reason: response.statusMessage,
    headers: response.headers,
    ...body,
  });
}
