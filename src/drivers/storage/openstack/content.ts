import { get, type Agent, type IncomingMessage } from "node:http";
import { keepAlive, type HttpAnswer, type HttpRequest } from "../../http.ts";
import { readingAgent } from "../long-body.ts";
import { watchSilence } from "../silence.ts";

/** An agent of plain HTTP for reading content; a body whose length is known can be taken over by `longBody`. */
export function contentAgent(connections: number): Agent {
  return readingAgent({ keepAlive: true, maxSockets: connections, timeout: keepAlive, scheduling: "lifo" });
}

/** Asks for content over plain HTTP. Rejects with whatever kept it from an answer. */
export async function getContent(
  agent: Agent,
  { url, headers, patience, idle }: Pick<HttpRequest, "url" | "headers" | "patience" | "idle">,
): Promise<HttpAnswer> {
  return await new Promise((resolve, reject) => {
    let answer: IncomingMessage | undefined;
    const request = get(url, { agent, headers: { ...headers } });
    const clock = setTimeout(() => request.destroy(new AnswerTimeout("no answer")), patience);
    watchSilence(request, idle, () => answer?.destroy(new Error(`nothing came for ${idle / 1000} s`)));
    request.once("response", (response) => {
      answer = response;
      clearTimeout(clock);
      // Who lets go of an answer early, or never looks at it, is told nothing more.
      response.on("error", () => undefined);
      resolve({ status: response.statusCode ?? 0, headers: response.headers, body: response });
    });
    request.on("error", (error) => {
      clearTimeout(clock);
      reject(error);
    });
  });
}

/** The answer did not begin in time. */
class AnswerTimeout extends Error {
  readonly code = "ANSWER_TIMEOUT";
}
