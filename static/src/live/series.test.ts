import { describe, expect, it } from "vitest";
import { SeriesRing } from "./series";

describe("SeriesRing", () => {
  it("has no last row before the first", () => {
    const ring = new SeriesRing(2, 4);
    expect(ring.last()).toBeNull();
    expect(ring.columns().map((column) => column.length)).toEqual([0, 0, 0]);
  });

  it("keeps the newest rows in order in memory of a fixed size", () => {
    const ring = new SeriesRing(2, 3);
    for (let tick = 0; tick < 7; tick += 1) ring.push(tick, tick / 100, [tick, -tick]);
    const [times, a, b] = ring.columns();
    expect([...times]).toEqual([0.04, 0.05, 0.06]);
    expect([...(a ?? [])]).toEqual([4, 5, 6]);
    expect([...(b ?? [])]).toEqual([-4, -5, -6]);
    expect(ring.last()).toEqual([6, -6]);
  });

  it("takes no tick twice, as happens after a reconnect", () => {
    const ring = new SeriesRing(1, 8);
    for (const tick of [1, 2, 3, 2, 3, 4]) ring.push(tick, tick, [tick]);
    expect([...ring.columns()[0]]).toEqual([1, 2, 3, 4]);
  });

  it("reads rows out of a longer array", () => {
    const ring = new SeriesRing(2, 8);
    const rows = new Float32Array([1, 2, 3, 4]);
    ring.push(0, 0, rows, 0);
    ring.push(1, 0, rows, 2);
    expect(ring.last()).toEqual([3, 4]);
  });
});
