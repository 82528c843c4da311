// Where values stand on an axis, and in which colour.
import type { Value } from "./points";

/** An axis: numbers on a line, plain or logarithmic, or names side by side. */
export interface Scale {
  /** 0 at the low end, 1 at the high one; null for what is not on it. */
  place: (value: Value) => number | null;
  /** What to write along it, in order. */
  ticks: readonly { at: number; value: Value }[];
  /** Ends of a numeric axis; null of one with names. */
  ends: readonly [number, number] | null;
  /** The number at a place; null on an axis with names. */
  value: (place: number) => number | null;
}

export function scaleOf(values: readonly Value[], log = false): Scale {
  const numbers = values.filter((value): value is number => typeof value === "number" && Number.isFinite(value));
  const names = values.filter((value) => value !== null && typeof value !== "number");
  if (names.length > 0) {
    const distinct: Value[] = [...new Set(values.filter((value) => value !== null))].sort((a, b) =>
      String(a).localeCompare(String(b)),
    );
    const at = (index: number) => (distinct.length > 1 ? index / (distinct.length - 1) : 0.5);
    return {
      place: (value) => {
        const index = distinct.indexOf(value);
        return index < 0 ? null : at(index);
      },
      ticks: distinct.map((value, index) => ({ at: at(index), value })),
      ends: null,
      value: () => null,
    };
  }
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const value of numbers) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  if (numbers.length === 0) [low, high] = [0, 1];
  const logarithmic = log && low > 0;
  const [from, to] = logarithmic ? [Math.log(low), Math.log(high)] : [low, high];
  const span = to - from;
  const value = (place: number) => {
    const inside = from + place * span;
    return logarithmic ? Math.exp(inside) : inside;
  };
  return {
    place: (one) => {
      if (typeof one !== "number" || !Number.isFinite(one)) return null;
      if (span === 0) return 0.5;
      return ((logarithmic ? Math.log(one) : one) - from) / span;
    },
    ticks: (span === 0 ? [0.5] : [0, 0.5, 1]).map((at) => ({ at, value: span === 0 ? low : value(at) })),
    ends: [low, high],
    value,
  };
}

/** Stops of the colour map cividis (Nuñez, Anderton & Renslow 2018, PLoS ONE 13:e0199239): even in lightness, and the same
 *  to eyes that do not tell red from green. */
const CIVIDIS: readonly (readonly [number, number, number])[] = [
  [0, 34, 78],
  [18, 53, 112],
  [59, 73, 108],
  [87, 93, 109],
  [112, 113, 115],
  [138, 134, 120],
  [165, 156, 116],
  [195, 179, 105],
  [225, 204, 85],
  [254, 232, 56],
];

/** The colour of a share between 0 and 1. */
export function colourAt(share: number): string {
  const spot = Math.min(1, Math.max(0, share)) * (CIVIDIS.length - 1);
  const below = CIVIDIS[Math.floor(spot)]!;
  const above = CIVIDIS[Math.ceil(spot)]!;
  const mix = spot - Math.floor(spot);
  const parts = below.map((part, i) => Math.round(part + (above[i]! - part) * mix));
  return `rgb(${parts.join(" ")})`;
}

export const COLOUR_BAR = `linear-gradient(to right, ${CIVIDIS.map((_, i) => colourAt(i / (CIVIDIS.length - 1))).join(", ")})`;
