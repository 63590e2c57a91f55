import { expect } from "chai";
import { median, quantile } from "../../bench/statistics.ts";

describe("statistics of a measurement", () => {
  it("takes the middle value, or the mean of both", () => {
    expect(median([9, 1, 5])).to.equal(5);
    expect(median([10, 1, 3, 2])).to.equal(2.5);
    expect(median([7])).to.equal(7);
  });

  it("orders by value, not as text", () => {
    expect(median([100, 9, 20])).to.equal(20);
  });

  it("takes the value that a share does not exceed", () => {
    const values = Array.from({ length: 200 }, (_, index) => 200 - index);
    expect(quantile(values, 0.99)).to.equal(198);
    expect(quantile(values, 0.5)).to.equal(100);
    expect(quantile(values, 1)).to.equal(200);
    expect(quantile([3], 0)).to.equal(3);
  });

  it("has none of nothing", () => {
    expect(median([])).to.be.NaN;
    expect(quantile([], 0.99)).to.be.NaN;
  });

  it("leaves the values as they are", () => {
    const values = [3, 1, 2];
    median(values);
    quantile(values, 0.5);
    expect(values).to.deep.equal([3, 1, 2]);
  });
});
