// Recorded series of several runs: read page by page, painted over each other, and read out at one place.
import type { ApiClient } from "../api/client";
import type { components } from "../api/schema";

type Schemas = components["schemas"];
export type RunSeries = Schemas["Series"];
export type LeftOut = Schemas["LeftOut"];
export type RecordedPort = Schemas["SharedPort"];
export type Axis = "seconds" | "ticks";

export interface Gathered {
  unit: string;
  series: RunSeries[];
  leftOut: LeftOut[];
  /** Runs that were asked for, read or not. */
  count: number;
}

type Page = Schemas["Overlay"];

/** Every page, told one by one; stops when told to. */
export async function readSeries(
  api: Pick<ApiClient, "get">, url: string, tell: (found: Gathered) => void, stopped: () => boolean,
): Promise<void> {
  const found: Gathered = { unit: "", series: [], leftOut: [], count: 0 };
  let next: string | null = url;
  while (next) {
    const page: Page = await api.get<Page>(next);
    if (stopped()) return;
    found.unit = page.unit;
    found.count = page.count;
    found.series = [...found.series, ...page.results];
    found.leftOut = [...found.leftOut, ...page.left_out];
    tell({ ...found });
    next = page.next;
  }
}

export type Ends = readonly [number, number];

/** The ends of what several series span: of their places and of their values. A span of nothing is widened. */
export function spans(series: readonly RunSeries[]): { x: Ends; y: Ends } {
  let [x0, x1, y0, y1] = [Infinity, -Infinity, Infinity, -Infinity];
  for (const { x, y } of series) {
    x.forEach((place, k) => {
      const value = y[k];
      x0 = Math.min(x0, place);
      x1 = Math.max(x1, place);
      if (value === null || value === undefined) return;
      y0 = Math.min(y0, value);
      y1 = Math.max(y1, value);
    });
  }
  return { x: widened(x0, x1, 0), y: widened(y0, y1, 0.04) };
}

function widened(low: number, high: number, margin: number): Ends {
  if (low > high) return [0, 1];
  if (low === high) return [low - (Math.abs(low) * 0.1 || 0.5), high + (Math.abs(high) * 0.1 || 0.5)];
  const more = (high - low) * margin;
  return [low - more, high + more];
}

export interface Reading {
  x: number;
  y: number | null;
}

/** The kept point of a series that is nearest to a place; null beyond its ends. */
export function readAt({ x, y }: Pick<RunSeries, "x" | "y">, place: number): Reading | null {
  if (x.length === 0) return null;
  const slack = ((x.at(-1)! - x[0]!) / x.length) * 2;
  if (place < x[0]! - slack || place > x.at(-1)! + slack) return null;
  let [low, high] = [0, x.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (x[middle]! < place) low = middle + 1;
    else high = middle;
  }
  if (low > 0 && place - x[low - 1]! <= x[low]! - place) low -= 1;
  return { x: x[low]!, y: y[low] ?? null };
}

/** What a painter is told: a line begins where the last one ended or is broken. */
export interface Pen {
  moveTo: (x: number, y: number) => void;
  lineTo: (x: number, y: number) => void;
}

/** Draws a series; a value that is not finite breaks its line. */
export function trace(pen: Pen, { x, y }: Pick<RunSeries, "x" | "y">, left: (x: number) => number, top: (y: number) => number): void {
  let down = false;
  x.forEach((place, k) => {
    const value = y[k];
    if (value === null || value === undefined) {
      down = false;
      return;
    }
    if (down) pen.lineTo(left(place), top(value));
    else pen.moveTo(left(place), top(value));
    down = true;
  });
}
