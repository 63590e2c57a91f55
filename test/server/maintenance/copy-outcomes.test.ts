import { expect } from "chai";
import { NotCopied } from "../../../src/server/maintenance/copy/not-copied.ts";
import { Outcomes } from "../../../src/server/maintenance/copy/outcomes.ts";
import type { ProblemKind } from "../../../src/server/registry/bridge/problems.ts";
import { rejection } from "../../support/storage-content.ts";

describe("the outcomes of a copy", () => {
  /** How often the work is done by three who ask for it, two of them at once. */
  async function times(error?: Error): Promise<number> {
    const outcomes = new Outcomes<string, number>(10);
    let count = 0;
    const ask = async (): Promise<unknown> => {
      const asked = outcomes.of("it", async () => {
        count++;
        await Promise.resolve();
        if (error) throw error;
        return 7;
      });
      return error ? await rejection(asked) : await asked;
    };
    const answers = [...(await Promise.all([ask(), ask()])), await ask()];
    expect(answers).to.deep.equal(Array.from({ length: 3 }, () => error ?? 7));
    return count;
  }

  const failure = (kind: ProblemKind): Error => new NotCopied(kind, "it is not there", {});

  it("are remembered: that it went well, and what no push mends", async () => {
    expect(await times()).to.equal(1);
    expect(await times(failure("blob-damaged"))).to.equal(1);
    expect(await times(failure("document-damaged"))).to.equal(1);
  });

  it("are forgotten when a push may end meanwhile", async () => {
    for (const kind of [
      "blob-missing",
      "image-missing",
      "layer-missing",
      "manifest-missing",
      "push-abandoned",
    ] as const)
      expect(await times(failure(kind)), kind).to.equal(2);
  });
});
