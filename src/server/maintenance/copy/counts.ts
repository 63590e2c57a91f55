/** What a copy came to. What was there before counts as `there`. */
export interface CopyCounts {
  /** Those that were looked through; one that both protocols have counts twice. */
  readonly repositories: { readonly v1: number; readonly v2: number };
  /** `replaced` named something else in the target before; `kept` still do. */
  readonly tags: {
    readonly copied: number;
    readonly replaced: number;
    readonly kept: number;
    readonly there: number;
  };
  readonly manifests: { readonly copied: number; readonly there: number };
  /** Of V1. */
  readonly images: { readonly copied: number; readonly there: number; readonly unfinished: number };
  /** Content, layers of V1 among it; `repaired` was there and damaged; `bytes` are those of what was copied. */
  readonly blobs: {
    readonly copied: number;
    readonly repaired: number;
    readonly there: number;
    readonly bytes: number;
  };
}

/** The counts while they grow. */
export type Tally = { -readonly [Part in keyof CopyCounts]: { -readonly [Count in keyof CopyCounts[Part]]: number } };

export function newTally(): Tally {
  return {
    repositories: { v1: 0, v2: 0 },
    tags: { copied: 0, replaced: 0, kept: 0, there: 0 },
    manifests: { copied: 0, there: 0 },
    images: { copied: 0, there: 0, unfinished: 0 },
    blobs: { copied: 0, repaired: 0, there: 0, bytes: 0 },
  };
}
