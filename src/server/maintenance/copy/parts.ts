import type { LayerAnalysis } from "../../registry/layers/analysis.ts";
import type { Tally } from "./counts.ts";
import type { Side } from "./side.ts";
import type { CopySink } from "./sink.ts";

/** What every part of a copy works with. */
export interface CopyParts {
  readonly from: Side;
  readonly to: Side;
  readonly sink: CopySink;
  readonly tally: Tally;
  /** Reads the archives of layers. */
  readonly analysis: LayerAnalysis;
  /** Whether what is there is looked at again: content is read and hashed, and copied anew when it is damaged. */
  readonly verify: boolean;
}
