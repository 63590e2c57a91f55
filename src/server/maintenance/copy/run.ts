import { problem, type Problem } from "../../registry/bridge/problems.ts";
import { isImageId, repositoryText, type ImageId } from "../../registry/names.ts";
import { imagesPrefix } from "../../registry/paths.ts";
import { BlobCopy } from "./blobs.ts";
import { newTally, type CopyCounts } from "./counts.ts";
import { ImageCopy } from "./images.ts";
import { inLanes } from "./lanes.ts";
import { ManifestCopy } from "./manifests.ts";
import { NotCopied } from "./not-copied.ts";
import { OciRepositoryCopy } from "./oci-repository.ts";
import type { CopyParts } from "./parts.ts";
import type { Selection } from "./selection.ts";
import { V1RepositoryCopy } from "./v1-repository.ts";

/** How a copy is made, and who is told of it. */
export interface RunOptions {
  /** Tags that the target has stay what they are there; otherwise those of the source count. */
  readonly keepTags: boolean;
  /** Content that is there is read and hashed, and copied again when it is damaged. */
  readonly verify: boolean;
  readonly signal: AbortSignal;
  readonly onProblem: (problem: Problem) => void;
  readonly onTag: () => void;
  /** Told of a repository whose tags have changed. */
  readonly onChanged: (repository: string) => Promise<void>;
}

/** Repositories that are copied side by side. */
const repositoriesAtOnce = 8;
/** Images without a tag that are looked at side by side. */
const imagesAtOnce = 16;

/** One pass through the source: V2 first, whose tags hide those of V1, then V1, then what of V1 has no tag. */
export async function copyAll(
  { from, to, sink, analysis }: Omit<CopyParts, "tally" | "verify">,
  selection: Selection,
  options: RunOptions,
): Promise<CopyCounts> {
  const tally = newTally();
  const { signal, verify, onChanged } = options;
  const parts = { from, to, sink, tally, analysis, verify };
  const blobs = new BlobCopy(parts);
  const images = new ImageCopy({ ...parts, blobs });
  const manifests = new ManifestCopy({ ...parts, blobs, images });
  const v2 = new OciRepositoryCopy({ ...parts, blobs, manifests, options });
  const v1 = new V1RepositoryCopy({ ...parts, images, options });
  const lanes = { atOnce: repositoriesAtOnce, signal };
  await inLanes(selection.oci(), lanes, async (name) => {
    if (await v2.copy(name)) await onChanged(name);
  });
  await inLanes(selection.v1(), lanes, async (repository) => {
    if (await v1.copy(repository)) await onChanged(repositoryText(repository));
  });
  if (!selection.isEverything) return tally;
  await inLanes(from.driver.children(imagesPrefix), { atOnce: imagesAtOnce, signal }, async (id) => {
    if (!isImageId(id)) return;
    const state = await from.images.state(id);
    if (state === "inProgress") tally.images.unfinished++;
    if (state === "complete") await untagged(id);
  });
  return tally;

  /** Of those that tags lead to, the tags tell. */
  async function untagged(id: ImageId): Promise<void> {
    try {
      await images.ensure(id);
    } catch (error) {
      if (!(error instanceof NotCopied)) throw error;
      const place = { ...error.place, image: id };
      options.onProblem(problem(error.kind, `${error.message}: image ${id} is not copied`, place));
    }
  }
}
