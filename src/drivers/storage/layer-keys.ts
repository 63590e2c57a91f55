/** What of the layers may lie below a prefix: none, the one of that key, or any number. */
export type Below = "none" | "many" | { readonly key: string };

/** Which keys are those of layers' contents, where they stay: with Glance these are images, all others the alternate's. */
export interface LayerKeys {
  readonly isLayer: (key: string) => boolean;
  readonly below: (prefix: string) => Below;
  /** What people see in lists of images. */
  readonly title: (key: string) => string;
}

/**
 * The first is the Python registry's layout, with its image's id, the second CNCF Distribution's, with its digest. By the third
 * `check` finds out whether Glance lets us do all that a registry does.
 */
const shapes: readonly (readonly string[])[] = [
  ["images", "*", "layer"],
  ["docker", "registry", "v2", "blobs", "*", "*", "*", "data"],
  ["_registryctl", "probe", "*", "object"],
];

/** The keys that the registry has for what clients push as layers or, in V2, as blobs. */
export const registryLayers: LayerKeys = {
  isLayer: (key) => {
    const parts = key.split("/");
    return shapes.some((shape) => shape.length === parts.length && begins(shape, parts));
  },
  below: (prefix) => {
    const parts = prefix === "" ? [] : prefix.split("/");
    const found = shapes.find((shape) => shape.length > parts.length && begins(shape, parts));
    const last = found?.at(-1);
    if (found === undefined || last === undefined) return "none";
    return found.length === parts.length + 1 ? { key: `${prefix}/${last}` } : "many";
  },
  title: (key) => {
    const [top, id = "", , , algorithm = "", , hex = ""] = key.split("/");
    if (top === "docker") return `${algorithm}:${hex}`;
    return top === "images" ? id : "a probe of registryctl check";
  },
};

function begins(shape: readonly string[], parts: readonly string[]): boolean {
  return parts.every((part, index) => shape[index] === "*" || shape[index] === part);
}
