/** Which of the processes that serve a store together one is. */
export interface Member {
  /** The same for all of them, and for no others. */
  readonly group: string;
  /** Two that run at the same time have different ones; who takes a dead one's place takes its number. */
  readonly slot: number;
}

/**
 * A process's hold on a store, by which it learns whether processes of other groups have one too. Whoever claims a store
 * is answered only when all others know, so it must be claimed before it is opened, and released when it is closed.
 */
export interface Claim {
  /** Whether only processes of its own group have a claim. False turns true when the last of the others has gone. */
  readonly isExclusive: boolean;
  /** Why the claim is never exclusive, where it can't be. */
  readonly obstacle: string | undefined;
  /** `listener` is called when `isExclusive` has changed. Who has come meanwhile waits for it; it must not reject. */
  onChange(listener: (isExclusive: boolean) => void | Promise<void>): void;
  release(): Promise<void>;
}

/** A claim that nobody can dispute. */
export const undisputed: Claim = {
  isExclusive: true,
  obstacle: undefined,
  onChange: () => undefined,
  release: async () => {
    await Promise.resolve();
  },
};
