import { expect } from "chai";
import { figure, table } from "../../bench/table.ts";

describe("the table of a measurement", () => {
  it("is Markdown whose columns stand below each other", () => {
    const columns = [
      { heading: "what", align: "left" },
      { heading: "rate", align: "right" },
    ] as const;
    const rows = [
      ["a blob", "7"],
      ["b", "1,234,567"],
    ];
    expect(table(columns, rows)).to.equal(
      [
        "| what   |      rate |", //
        "| ------ | --------: |",
        "| a blob |         7 |",
        "| b      | 1,234,567 |",
        "",
      ].join("\n"),
    );
  });

  it("shows about three digits", () => {
    const shown = [
      [12_345.6, "12,346"],
      [123.45, "123"],
      [12.345, "12.3"],
      [1.234, "1.23"],
      [0.0123, "0.012"],
    ] as const;
    for (const [value, text] of shown) expect(figure(value)).to.equal(text);
    expect(figure(-12.345)).to.equal("-12.3");
  });

  it("shows what is not known as a dash", () => {
    expect(figure(Number.NaN)).to.equal("–");
    expect(figure(Infinity)).to.equal("–");
  });
});
