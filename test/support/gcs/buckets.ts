import { ApiError } from "./answer.ts";

/** An object, whose bytes never change. */
export interface StoredObject {
  readonly name: string;
  readonly content: Buffer;
  readonly contentType: string;
  readonly generation: number;
  readonly updated: Date;
}

/** What an account may do with the objects of a bucket. */
export type Permission = "get" | "list" | "create" | "delete";

let generations = 1_600_000_000_000_000;

/** A bucket, and who may do what with it. */
export class StoredBucket {
  readonly name: string;
  readonly #objects = new Map<string, StoredObject>();
  readonly #grants = new Map<string, ReadonlySet<Permission>>();
  #order: readonly string[] | undefined;

  constructor(name: string) {
    this.name = name;
  }

  grant(email: string, permissions: readonly Permission[]): void {
    this.#grants.set(email, new Set(permissions));
  }

  /** Refuses who may not, in Google's words. */
  check(email: string, permission: Permission): void {
    if (this.#grants.get(email)?.has(permission)) return;
    const right = `storage.objects.${permission}`;
    throw new ApiError(
      403,
      "forbidden",
      `${email} does not have ${right} access to the Google Cloud Storage object. Permission '${right}' denied on resource (or it may not exist).`,
    );
  }

  find(name: string): StoredObject | undefined {
    return this.#objects.get(name);
  }

  take(name: string): StoredObject {
    const object = this.#objects.get(name);
    if (!object) throw new ApiError(404, "notFound", `No such object: ${this.name}/${name}`);
    return object;
  }

  /** Who replaces needs the right to delete too. */
  store(email: string, name: string, content: Buffer, contentType: string): StoredObject {
    checkName(name);
    this.check(email, "create");
    if (this.#objects.has(name)) this.check(email, "delete");
    else this.#order = undefined;
    const object = { name, content, contentType, generation: generations++, updated: new Date() };
    this.#objects.set(name, object);
    return object;
  }

  remove(name: string): void {
    this.take(name);
    this.#objects.delete(name);
    this.#order = undefined;
  }

  /** Names by the bytes of their UTF-8; of those with a delimiter behind the prefix only what is up to it. */
  list(query: URLSearchParams): {
    readonly items: readonly StoredObject[];
    readonly prefixes: readonly string[];
    readonly nextPageToken?: string;
  } {
    const prefix = query.get("prefix") ?? "";
    const delimiter = query.get("delimiter") ?? "";
    const start = query.get("startOffset") ?? "";
    const limit = Math.min(Number(query.get("maxResults") ?? 1000), 1000);
    const token = query.get("pageToken");
    const after = token === null ? undefined : String(Buffer.from(token, "base64url"));
    this.#order ??= [...this.#objects.keys()].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    const items: StoredObject[] = [];
    const prefixes: string[] = [];
    let last = "";
    for (const name of this.#order) {
      if (!name.startsWith(prefix) || compare(name, start) < 0) continue;
      const cut = delimiter === "" ? -1 : name.indexOf(delimiter, prefix.length);
      const shown = cut < 0 ? name : name.slice(0, cut + delimiter.length);
      if ((after !== undefined && compare(shown, after) <= 0) || (cut >= 0 && shown === prefixes.at(-1))) continue;
      if (items.length + prefixes.length === limit) {
        return { items, prefixes, nextPageToken: Buffer.from(last).toString("base64url") };
      }
      last = shown;
      if (cut < 0) items.push(this.take(name));
      else prefixes.push(shown);
    }
    return { items, prefixes };
  }
}

/** The resource that tells of an object. */
export function resourceOf(bucket: string, object: StoredObject): object {
  const updated = object.updated.toISOString();
  return {
    kind: "storage#object",
    id: `${bucket}/${object.name}/${object.generation}`,
    bucket,
    name: object.name,
    generation: String(object.generation),
    metageneration: "1",
    contentType: object.contentType,
    size: String(object.content.length),
    timeCreated: updated,
    updated,
  };
}

function checkName(name: string): void {
  if (name === "") throw new ApiError(400, "required", "Required");
  if (Buffer.byteLength(name) > 1024 || /[\r\n]/.test(name) || name === "." || name === "..") {
    throw new ApiError(400, "invalid", `The object name '${name.slice(0, 20)}' is invalid.`);
  }
}

function compare(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
