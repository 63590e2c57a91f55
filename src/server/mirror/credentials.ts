import { spawn } from "node:child_process";
import { isObject, parseJson } from "../registry/documents.ts";
import { UpstreamFailure } from "./failure.ts";

/** What an upstream is shown: a name and its password, or a token that its token server takes for both. */
export type Login = { readonly username: string; readonly password: string } | { readonly identityToken: string };

/** Says who we are at an upstream; undefined is anonymous. */
export type Credentials = () => Promise<Login | undefined>;

/** How long what a program said is believed, in milliseconds: some hand out passwords that last for hours. */
const believed = 300_000;
const patience = 30_000;
const largestAnswer = 65_536;

/** A name and password that do not change. */
export function fixedLogin(username: string, password: string): Credentials {
  return async () => await Promise.resolve({ username, password });
}

/** Nobody in particular. */
export const anonymous: Credentials = async () => {
  await Promise.resolve(undefined);
};

/**
 * Asks a program that speaks docker's protocol of credential helpers: `docker-credential-NAME get`, the server on its
 * standard input, a JSON object on its standard output. `helper` is NAME, or a path. That it knows none is anonymous.
 */
export function helperLogin(helper: string, server: string): Credentials {
  const program =
    helper.includes("/") || helper.startsWith("docker-credential-") ? helper : `docker-credential-${helper}`;
  let answer: { readonly login: Promise<Login | undefined>; readonly until: number } | undefined;
  return async () => {
    const now = performance.now();
    if (!answer || now > answer.until) {
      const asked = { login: ask(program, server), until: now + believed };
      answer = asked;
      asked.login.catch(() => {
        if (answer === asked) answer = undefined;
      });
    }
    return await answer.login;
  };
}

async function ask(program: string, server: string): Promise<Login | undefined> {
  const { code, output } = await run(program, server);
  if (code !== 0) {
    if (/credentials not found/i.test(output)) return undefined;
    throw failure(program, `it ended with ${code}`);
  }
  const value = parseJson(Buffer.from(output));
  const { Username: username, Secret: secret } = isObject(value) ? value : {};
  if (typeof username !== "string" || typeof secret !== "string")
    throw failure(program, "it gave no Username and Secret");
  return username === "<token>" ? { identityToken: secret } : { username, password: secret };
}

async function run(
  program: string,
  input: string,
): Promise<{ readonly code: number | string; readonly output: string }> {
  return await new Promise((resolve, reject) => {
    const child = spawn(program, ["get"], { stdio: ["pipe", "pipe", "ignore"], timeout: patience });
    let output = "";
    child.once("error", (cause) => {
      reject(failure(program, "it can't be started", cause));
    });
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      output += text;
      if (output.length > largestAnswer) child.kill();
    });
    child.once("close", (code, signal) => {
      resolve({ code: code ?? signal ?? "", output });
    });
    // It may end without reading.
    child.stdin.on("error", () => undefined);
    child.stdin.end(input);
  });
}

/** What it said may hold secrets, and is not repeated. */
function failure(program: string, problem: string, cause?: unknown): UpstreamFailure {
  return new UpstreamFailure("broken", `the credential helper ${program} gives nothing: ${problem}`, { cause });
}
