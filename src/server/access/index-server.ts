import { RegistryError } from "../errors.ts";
import { isObject, parseJson } from "../registry/documents.ts";
import { repositoryText, type RepositoryName } from "../registry/names.ts";
import type { Repositories } from "../registry/repositories.ts";
import { unauthorized } from "./controlled.ts";
import { parseToken, type V1Token } from "./credentials.ts";
import { coversMethod, type V1Decisions } from "./v1-access.ts";

const timeoutMilliseconds = 10_000;
const largestAnswer = 32 * 1024 * 1024;

/**
 * Access by tokens of an index server (`standalone: false`): every request's token is shown to the index, whose list of
 * the repository's images is kept, and says what may be pushed. Throws when the endpoint holds credentials: the token
 * takes their place, and they would come into the log.
 */
export function indexServerAccess(endpoint: string, repositories: Repositories): V1Decisions {
  const { username, password } = new URL(endpoint);
  if (username !== "" || password !== "") {
    throw new Error("index_endpoint holds a user name or a password: remove it, clients' tokens are sent instead");
  }
  const base = endpoint.replace(/\/+$/, "");
  const repositoryUrl = ({ namespace, name }: RepositoryName) =>
    `${base}/v1/repositories/${encodeURIComponent(namespace)}/${name}`;
  return {
    authorize: async (request, repository) => {
      const token = parseToken(request);
      if (!token || !coversMethod(token, request.method)) throw unauthorized();
      if (repository && repositoryText(repository) !== repositoryText(token.repository)) throw unauthorized();
      if (climbs(token.repository)) throw unauthorized();
      const answer = await ask(`${repositoryUrl(token.repository)}/images`, token);
      if (!Array.isArray(answer)) throw unauthorized();
      const ids = answer.map((item: unknown) => (isObject(item) ? item["id"] : undefined));
      await repositories.setIndexServerImages(
        token.repository,
        ids.filter((id) => typeof id === "string"),
      );
    },
    tokenRepository: (request) => parseToken(request)?.repository,
    mayPush: async (request, image) => {
      const token = parseToken(request);
      return token !== undefined && (await repositories.indexServerImages(token.repository)).includes(image);
    },
    mayUse: async (request, image) => {
      const token = parseToken(request);
      if (!token) return false;
      const answer = await ask(`${repositoryUrl(token.repository)}/layer/${image}/access`, token);
      return isObject(answer) && answer["access"] === true;
    },
  };
}

/** Whether a URL with the name in it would be one of another place. */
function climbs({ namespace, name }: RepositoryName): boolean {
  return [namespace, name].some((part) => part === "." || part === "..");
}

/** The index's answer as JSON; undefined when it refuses. Rejects with UPSTREAM_UNAVAILABLE when it does not answer. */
async function ask(url: string, token: V1Token): Promise<unknown> {
  try {
    const response = await fetch(url, {
      headers: { authorization: token.authorization, accept: "application/json" },
      signal: AbortSignal.timeout(timeoutMilliseconds),
    });
    const bytes = await limited(response);
    if (response.status >= 500) throw new Error(`the index server answered ${response.status}`);
    return response.status === 200 ? parseJson(bytes) : undefined;
  } catch (cause) {
    throw new RegistryError("UPSTREAM_UNAVAILABLE", { cause });
  }
}

async function limited(response: Response): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    size += chunk.length;
    if (size > largestAnswer) throw new Error("the index server's answer is too large");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
