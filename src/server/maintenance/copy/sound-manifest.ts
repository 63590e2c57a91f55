import { digestAs, digestParts, type Digest } from "../../registry/digest.ts";
import type { Documents } from "../../registry/documents.ts";
import { parseStoredManifest, type Manifest } from "../../registry/manifest.ts";
import { blobKey } from "../../registry/paths.ts";
import { NotCopied } from "./not-copied.ts";

/** What a manifest says, once its content has proved to be what the digest says. Rejects with `NotCopied`. */
export async function soundManifest(documents: Documents, digest: Digest): Promise<Manifest> {
  const bytes = await documents.read(blobKey(digest));
  if (!bytes) throw new NotCopied("manifest-missing", `the manifest ${digest} is missing`, { digest });
  if (digestAs(digestParts(digest).algorithm, bytes) !== digest) {
    throw new NotCopied("manifest-damaged", `the content of the manifest ${digest} has another digest`, { digest });
  }
  try {
    return parseStoredManifest(bytes);
  } catch (cause) {
    throw new NotCopied("manifest-damaged", `${digest} is no manifest`, { digest }, { cause });
  }
}
