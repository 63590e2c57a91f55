const fixed = ["/", "/livez", "/readyz", "/_ping", "/_status", "/v1/_ping", "/v1/_status", "/v1/search", "/v2/", "/v2/_catalog", "/v2/token"] as const; // prettier-ignore
const imageDocuments = ["json", "layer", "checksum", "ancestry", "files", "diff"] as const;
const repositoryDocuments = ["images", "tags", "properties", "auth", "json"] as const;

/** What a request is for, without the names in it: there are as many as the protocols have, whatever clients ask for. */
export type Route =
  | (typeof fixed)[number]
  | "/v2/{name}/manifests/{reference}"
  | "/v2/{name}/blobs/{digest}"
  | "/v2/{name}/blobs/uploads/"
  | "/v2/{name}/blobs/uploads/{id}"
  | "/v2/{name}/tags/list"
  | "/v2/{name}/referrers/{digest}"
  | "/v1/users/"
  | `/v1/images/{id}/${(typeof imageDocuments)[number]}`
  | "/v1/repositories/{name}"
  | `/v1/repositories/{name}/${(typeof repositoryDocuments)[number]}`
  | "/v1/repositories/{name}/tags/{tag}"
  | "other";

/** The route of a request's URL. It is asked for each request, so it looks at no more than it must. */
export function routeOf(url: string): Route {
  const query = url.indexOf("?");
  const path = query === -1 ? url : url.slice(0, query);
  return ofRepository(path) ?? fixed.find((each) => each === path) ?? ofOthers(path);
}

function ofRepository(path: string): Route | undefined {
  const last = path.lastIndexOf("/");
  const before = path.lastIndexOf("/", last - 1);
  // Names have at least a letter.
  if (before < 5 || !path.startsWith("/v2/")) return undefined;
  switch (path.slice(before + 1, last)) {
    case "manifests":
      return "/v2/{name}/manifests/{reference}";
    case "blobs":
      return path.endsWith("/uploads") ? "/v2/{name}/blobs/uploads/" : "/v2/{name}/blobs/{digest}";
    case "uploads":
      return last === path.length - 1 ? "/v2/{name}/blobs/uploads/" : "/v2/{name}/blobs/uploads/{id}";
    case "tags":
      return path.endsWith("/list") ? "/v2/{name}/tags/list" : undefined;
    case "referrers":
      return "/v2/{name}/referrers/{digest}";
    default:
      return undefined;
  }
}

function ofOthers(path: string): Route {
  return path.startsWith("/v1/") ? ofV1(path) : path === "/v2" ? "/v2/" : "other";
}

function ofV1(path: string): Route {
  const [, , kind, ...parts] = path.split("/", 8);
  const item = parts.at(-1);
  if (kind === "users") return "/v1/users/";
  if (kind === "images" || kind === "private_images") {
    const document = parts.length === 2 ? imageDocuments.find((each) => each === item) : undefined;
    return document ? `/v1/images/{id}/${document}` : "other";
  }
  if (kind !== "repositories") return "other";
  const tags = parts.lastIndexOf("tags");
  if (tags > 0 && item !== "tags" && item !== "") return "/v1/repositories/{name}/tags/{tag}";
  const list = parts.length > 1 ? repositoryDocuments.find((each) => each === item) : undefined;
  return list ? `/v1/repositories/{name}/${list}` : "/v1/repositories/{name}";
}
