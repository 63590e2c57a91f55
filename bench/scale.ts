const mebibyte = 1024 * 1024;

/** How much each workload does. */
export interface Scale {
  readonly blob: number;
  /** Downloads that each client makes in a sample: of one client, and of eight. */
  readonly downloads: { readonly alone: number; readonly together: number };
  readonly seconds: number;
  readonly mixedSeconds: number;
  readonly smallBlobs: number;
  readonly manifests: number;
  readonly tags: readonly number[];
  readonly repositories: readonly number[];
  readonly layer: number;
  readonly wrongLogins: { readonly perSecond: number; readonly seconds: number };
  /** Bytes of memory that are touched before samples that write. */
  readonly warmth: number;
  /** Whether to wait for a quiet machine, and to repeat what others disturbed. */
  readonly isCareful: boolean;
}

/** What the targets are about. */
export const full: Scale = {
  blob: 256 * mebibyte,
  downloads: { alone: 4, together: 1 },
  seconds: 2,
  mixedSeconds: 6,
  smallBlobs: 500,
  manifests: 100,
  tags: [10, 1000, 10_000],
  repositories: [1000, 5000],
  layer: 20 * mebibyte,
  // 10,000 a minute.
  wrongLogins: { perSecond: 10_000 / 60, seconds: 10 },
  warmth: 450 * mebibyte,
  isCareful: true,
};

/** Enough to see that every workload works, and no figure worth anything. */
export const quick: Scale = {
  blob: 3 * mebibyte + 1,
  downloads: { alone: 1, together: 1 },
  seconds: 0.2,
  mixedSeconds: 0.3,
  smallBlobs: 20,
  manifests: 10,
  tags: [10, 20, 30],
  repositories: [10, 20],
  layer: 100_000,
  wrongLogins: { perSecond: 20, seconds: 0.2 },
  warmth: 0,
  isCareful: false,
};
