import { freemem } from "node:os";
import { expect } from "chai";
import { HeldMemory } from "../../bench/held-memory.ts";
import { memoryBytes } from "../../bench/process-tree.ts";
import { until } from "../support/program.ts";

const mebibyte = 1024 * 1024;

describe("memory held for a measurement", () => {
  it("is really there, until it is released", async () => {
    const told: number[] = [];
    const hold = async (): Promise<HeldMemory> =>
      await HeldMemory.allBut(freemem() - 1000 * mebibyte, (bytes) => told.push(bytes));
    let held = await hold();
    // Others on the machine may have taken some of it just then.
    while ((told.at(-1) ?? 0) <= 500 * mebibyte) {
      held.release();
      held = await hold();
    }
    try {
      expect(memoryBytes([held.pid], "peak")).to.be.above(500 * mebibyte);
      expect(told.at(-1)).to.be.above(500 * mebibyte);
    } finally {
      held.release();
    }
    await until("the memory is free", () => memoryBytes([held.pid], "now") === 0);
  });

  it("is nothing where more is to be free than there is", async () => {
    const held = await HeldMemory.allBut(freemem() * 2);
    expect(memoryBytes([held.pid], "peak")).to.be.below(250 * mebibyte);
    held.release();
  });
});
