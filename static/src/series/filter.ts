// Which points are looked at: those inside the ranges that were brushed on the axes.
import { type Point, valueOn } from "./points";

export type Ranges = Readonly<Record<string, readonly [number, number]>>;

export function inside(point: Point, ranges: Ranges): boolean {
  return Object.entries(ranges).every(([column, [low, high]]) => {
    const value = valueOn(point, column);
    return typeof value === "number" && value >= low && value <= high;
  });
}
