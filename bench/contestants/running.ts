import type { Contestant } from "./contestant.ts";

/** A registry that somebody else runs: it is never started nor stopped, and its CPU and memory stay unknown. */
export function runningAt(url: string): Contestant {
  const { origin, host } = new URL(url);
  return {
    name: host,
    speaksV1: false,
    async start() {
      const response = await fetch(`${origin}/v2/`);
      if (!response.ok) throw new Error(`${origin}/v2/ answers ${response.status}`);
      return { url: origin, pids: [], readyAfter: Number.NaN, stop: () => Promise.resolve() };
    },
  };
}
