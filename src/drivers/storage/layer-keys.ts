/** What of the layers may lie below a prefix: none, the one of that key, or any number. */
export type Below = "none" | "many" | { readonly key: string };

/** Which keys are those of layers' contents, where they stay: with Glance these are images, all others the alternate's. */
export interface LayerKeys {
  readonly isLayer: (key: string) => boolean;
  readonly below: (prefix: string) => Below;
  /**
   * The folder of the upload to which the object belongs, whose first one most likely becomes a layer as it is; the key
   * itself where there are no others. Undefined for what is not on its way to a layer.
   */
  readonly uploadOf: (key: string) => string | undefined;
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

/** What is on its way to a layer: by itself, or as a part of an upload. */
const alone = ["_registryctl", "uploads", "*"];
const part = [...alone, "data", "*"];

/** The keys that the registry has for what clients push as layers or, in V2, as blobs. */
export const registryLayers: LayerKeys = {
  isLayer: (key) => {
    const parts = key.split("/");
    return shapes.some((shape) => isOf(shape, parts));
  },
  below: (prefix) => {
    const parts = prefix === "" ? [] : prefix.split("/");
    const found = shapes.find((shape) => shape.length > parts.length && begins(shape, parts));
    const last = found?.at(-1);
    if (found === undefined || last === undefined) return "none";
    return found.length === parts.length + 1 ? { key: `${prefix}/${last}` } : "many";
  },
  uploadOf: (key) => {
    const parts = key.split("/");
    return isOf(alone, parts) || isOf(part, parts) ? parts.slice(0, alone.length).join("/") : undefined;
  },
  title: (key) => {
    if (registryLayers.uploadOf(key) !== undefined) return "an upload to the registry";
    const [top, id = "", , , algorithm = "", , hex = ""] = key.split("/");
    if (top === "docker") return `${algorithm}:${hex}`;
    return top === "images" ? id : "a probe of registryctl check";
  },
};

/** Whether the object belongs to what is on its way. No such key is used for two objects. */
export function isOfUpload(key: string): boolean {
  const parts = key.split("/");
  return parts.length >= alone.length && begins(alone, parts.slice(0, alone.length));
}

/** Whether the key itself says all that there is to know, such as where a part of an upload belongs: an object without content. */
export function isUploadRecord(key: string): boolean {
  return isOfUpload(key) && registryLayers.uploadOf(key) === undefined;
}

function isOf(shape: readonly string[], parts: readonly string[]): boolean {
  return shape.length === parts.length && begins(shape, parts);
}

function begins(shape: readonly string[], parts: readonly string[]): boolean {
  return parts.every((part, index) => shape[index] === "*" || shape[index] === part);
}
