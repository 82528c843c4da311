import { describe, expect, it } from "vitest";
import { decimals, duration, measured, percent, whole } from "./format";

describe("format", () => {
  it("groups whole numbers by three", () => {
    expect([7, 999, 1000, 8164, 1234567].map(whole)).toEqual(["7", "999", "1\u202f000", "8\u202f164", "1\u202f234\u202f567"]);
  });

  it("says durations as people do", () => {
    expect([0.2, 8.4, 60, 125, 3600, 4800].map(duration)).toEqual(["under 1 s", "8 s", "1 min", "2 min 5 s", "1 h", "1 h 20 min"]);
  });

  it("keeps three significant digits", () => {
    expect([0, 0.12345, 123.456, -0.0001234, 2e6].map(measured)).toEqual(["0", "0.123", "123", "-1.23e-4", "2.00e+6"]);
  });

  it("writes shares as per cent and counts a step's decimals", () => {
    expect(percent(0.95)).toBe("95.0 %");
    expect([1, 0.1, 0.05, 1e-7].map(decimals)).toEqual([0, 1, 2, 7]);
  });
});
