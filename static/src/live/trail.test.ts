import { describe, expect, it } from "vitest";
import { TrailRing } from "./trail";

/** One cell that walks along x, one unit a tick. */
function walk(ring: TrailRing, from: number, to: number, shift = 0): void {
  for (let tick = from; tick < to; tick += 1) ring.push(tick, [tick + shift, 0, 0], 0);
}

/** Slots joined by lines, as the strips say it. */
function joined(ring: TrailRing): [number, number][] {
  return ring.strips().flatMap(([first, steps]) =>
    Array.from({ length: steps }, (_, k): [number, number] => [first + k, (first + k + 1) % ring.slots]),
  );
}

describe("TrailRing", () => {
  it("joins consecutive moments before it is full", () => {
    const ring = new TrailRing(1, 8);
    walk(ring, 0, 4);
    expect(joined(ring)).toEqual([[0, 1], [1, 2], [2, 3]]);
  });

  it("never joins the newest to the oldest moment when it wraps", () => {
    const ring = new TrailRing(1, 5);
    walk(ring, 0, 8);
    expect(ring.head).toBe(2);
    expect(joined(ring)).toEqual([[3, 4], [4, 0], [0, 1], [1, 2]]);
  });

  it("draws no line across a restart of the cells", () => {
    const ring = new TrailRing(1, 16);
    walk(ring, 0, 6);
    walk(ring, 6, 10, 500);
    const lines = joined(ring);
    expect(lines).not.toContainEqual([5, 6]);
    expect(lines).toContainEqual([4, 5]);
    expect(lines).toContainEqual([6, 7]);
  });

  it("measures speed per tick, over gaps too, and the extent of each axis", () => {
    const ring = new TrailRing(1, 8);
    ring.push(0, [0, 0, 0], 0);
    ring.push(1, [0, 3, -4], 0);
    ring.push(3, [0, 3, -10], 0);
    expect(ring.speeds[1]).toBe(5);
    expect(ring.speeds[2]).toBe(3);
    expect(ring.extent[1]).toBe(3);
    expect(ring.extent[2]).toBe(10);
  });

  it("lets an early excursion fade out of the extent", () => {
    const ring = new TrailRing(1, 8);
    ring.push(0, [100, 0, 0], 0);
    for (let tick = 1; tick < 3000; tick += 1) ring.push(tick, [Math.sin(tick), 0, 0], 0);
    expect(ring.extent[0]).toBeGreaterThan(0.9);
    expect(ring.extent[0]).toBeLessThan(1.01);
  });

  it("takes no tick twice", () => {
    const ring = new TrailRing(1, 8);
    walk(ring, 0, 3);
    expect(ring.push(2, [9, 9, 9], 0)).toBe(-1);
    expect(ring.length).toBe(3);
  });
});
