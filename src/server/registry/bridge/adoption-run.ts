import type { ImageId } from "../names.ts";
import type { CheckOptions, ImageCheck, ImageChecks } from "./image-check.ts";
import { problem, type Problem } from "./problems.ts";

/** What an adoption has found. */
export interface AdoptionCounts {
  readonly repositories: number;
  readonly tags: number;
  /** All folders of images, whether or not a tag leads to them. */
  readonly images: number;
  readonly untaggedImages: number;
  readonly unfinishedPushes: number;
  /** Tags that clients can pull, through V2 too where it can spell them. */
  readonly sound: number;
  readonly broken: number;
  /** Sound tags that nothing is left to be done for; what was not written is not prepared. */
  readonly prepared: number;
}

/** How an adoption goes about it, and whom it tells. */
export interface AdoptionOptions extends Omit<CheckOptions, "onBytes"> {
  readonly onProblem: (problem: Problem) => void;
  /** Told once, how many bytes of layers are to be read and how many tags there are; then of each step. */
  readonly onPlan: (plan: { readonly bytes: number; readonly tags: number }) => void;
  readonly onStep: (step: { readonly bytes?: number; readonly tags?: number }) => void;
}

type Counts = { -readonly [Key in keyof AdoptionCounts]: number };

/** What one adoption has seen so far. */
export class AdoptionRun {
  readonly options: AdoptionOptions;
  readonly counts: Counts = {
    ...{
      repositories: 0,
      tags: 0,
      images: 0,
      untaggedImages: 0,
      unfinishedPushes: 0,
      sound: 0,
      broken: 0,
      prepared: 0,
    },
  };
  readonly #checks: ImageChecks;
  readonly #found = new Map<ImageId, Promise<ImageCheck>>();

  constructor(options: AdoptionOptions, checks: ImageChecks) {
    this.options = options;
    this.#checks = checks;
  }

  tell(found: Problem): void {
    this.options.onProblem(found);
  }

  /** Tells why a tag can't be pulled. */
  breaks(found: Problem): void {
    this.counts.broken++;
    this.tell(found);
  }

  /** Looks at an image once, however many tags lead to it; `place` is that of the first. */
  async check(id: ImageId, place: Partial<Problem>): Promise<ImageCheck> {
    const found = this.#found.get(id) ?? this.#check(id, place);
    this.#found.set(id, found);
    return await found;
  }

  async #check(id: ImageId, place: Partial<Problem>): Promise<ImageCheck> {
    const { onStep, ...options } = this.options;
    const check = await this.#checks.check(id, {
      ...options,
      onBytes: (bytes) => {
        onStep({ bytes });
      },
    });
    const where = { ...place, image: id };
    if (check.checksum === "differs") {
      const consequence = "it was damaged or replaced after its push, and clients get it as it is now";
      this.tell(
        problem("checksum-differs", `the layer of image ${id} is not what its checksum says: ${consequence}`, where),
      );
    } else if (check.checksum === "missing") {
      const consequence = "clients get it, and nobody can tell whether it is what was pushed";
      this.tell(problem("checksum-missing", `image ${id} has no checksum: ${consequence}`, where));
    }
    return check;
  }
}
