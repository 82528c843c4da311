import { describe, expect, it, vi } from "vitest";
import { type Gathered, type RunSeries, readAt, readSeries, spans, trace } from "./series";

const one = (run: string, x: number[], y: (number | null)[]): RunSeries => ({
  run, samples: x.length, not_finite: 0, thinned: false, x, y,
});

const page = (next: string | null, ...results: RunSeries[]) => ({
  port: "osc.x", unit: "V", axis: "seconds", element: 0, count: 3, next, results,
  left_out: next ? [] : [{ run: "c", code: "nothing_recorded", message: "It recorded nothing." }],
});

describe("recorded series", () => {
  it("are read page by page, and every page is told", async () => {
    const pages: Record<string, unknown> = { "/1": page("/2", one("a", [0], [1])), "/2": page(null, one("b", [0], [2])) };
    const told: Gathered[] = [];
    await readSeries({ get: async <T>(url: string) => pages[url] as T }, "/1", (found) => told.push(found), () => false);
    expect(told.map(({ series, leftOut }) => [series.map(({ run }) => run), leftOut.length])).toEqual([
      [["a"], 0],
      [["a", "b"], 1],
    ]);
    expect([told[1]!.unit, told[1]!.count]).toEqual(["V", 3]);
  });

  it("are read no more when something else was chosen meanwhile", async () => {
    const get = vi.fn().mockResolvedValue(page("/2"));
    const tell = vi.fn();
    await readSeries({ get }, "/1", tell, () => get.mock.calls.length > 0);
    expect([get.mock.calls.length, tell.mock.calls.length]).toEqual([1, 0]);
  });

  it("span what they have, and a span of nothing is widened", () => {
    const { x, y } = spans([one("a", [1, 3], [5, null]), one("b", [2, 9], [-5, 0])]);
    expect(x).toEqual([1, 9]);
    expect(y[0]).toBeLessThan(-5);
    expect(y[1]).toBeGreaterThan(5);
    expect(spans([one("a", [4], [0])])).toEqual({ x: [3.6, 4.4], y: [-0.5, 0.5] });
    expect(spans([])).toEqual({ x: [0, 1], y: [0, 1] });
  });

  it("are read out at the nearest point, and not beyond their ends", () => {
    const series = one("a", [0, 10, 20, 30], [1, 2, null, 4]);
    expect([0, 4, 5, 6, 19, 29, 30].map((place) => readAt(series, place)?.x)).toEqual([0, 0, 0, 10, 20, 30, 30]);
    expect(readAt(series, 20)).toEqual({ x: 20, y: null });
    expect(readAt(series, 60)).toBeNull();
    expect(readAt(one("b", [], []), 0)).toBeNull();
  });

  it("are lines that break where a value is not finite", () => {
    const drawn: string[] = [];
    const pen = { moveTo: (x: number, y: number) => drawn.push(`m${x},${y}`), lineTo: (x: number, y: number) => drawn.push(`l${x},${y}`) };
    trace(pen, one("a", [0, 1, 2, 3, 4], [5, 6, null, 7, 8]), (x) => x * 10, (y) => -y);
    expect(drawn).toEqual(["m0,-5", "l10,-6", "m30,-7", "l40,-8"]);
  });
});
