import { describe, expect, it } from "vitest";
import { aligned, lineStyle } from "./overlay";

describe("overlay", () => {
  it("puts curves of different lengths and gaps on one axis", () => {
    const curves = [
      { run: "a", x: [0, 1, 2], y: [5, null, 7] },
      { run: "b", x: [2, 4], y: [1, 2] },
    ];
    expect(aligned(curves)).toEqual([
      [0, 1, 2, 4],
      [5, null, 7, null],
      [null, null, 1, 2],
    ]);
    expect(aligned([])).toEqual([[]]);
  });

  it("draws a hundred runs in a hundred ways, in each theme", () => {
    for (const dark of [false, true]) {
      const ways = Array.from({ length: 100 }, (_, i) => JSON.stringify(lineStyle(i, dark)));
      expect(new Set(ways).size).toBe(100);
    }
  });
});
