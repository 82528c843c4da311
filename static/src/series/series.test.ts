import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ApiClient } from "../api/client";
import { axisDesign, lengthOf, targetsOf } from "../graph/StudyForm";
import { cellsOf, edges } from "./HeatMap";
import { metricName } from "./design";
import { inside } from "./filter";
import { PointStore, valueOn } from "./points";
import { colourAt, scaleOf } from "./scale";

const point = (index: number, x: number, y: number, value: number | null) => ({
  index,
  params: { "a.x": x, "a.y": y },
  seed: 7,
  metrics: value === null ? null : { m: value },
  error: value === null ? { code: "diverged", node: "a", tick: 3, message: "It left.", mend: "Stay." } : null,
});

describe("points", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it("are there once however often they are told, in their order, and told in batches", () => {
    const store = new PointStore();
    const heard = vi.fn();
    store.subscribe(heard);
    store.add([point(2, 0, 0, 1), point(0, 1, 0, 2)].map((one) => ({ ...one, metrics: one.metrics ?? {} })));
    store.add([{ index: 2, params: {}, seed: 1, metrics: { m: 9 } }]);
    expect(store.list()).toHaveLength(0);
    vi.runAllTimers();
    expect(heard).toHaveBeenCalledTimes(1);
    expect(store.list().map((one) => one.index)).toEqual([0, 2]);
    expect(valueOn(store.list()[1]!, "m")).toBe(1);
    expect(valueOn(store.list()[0]!, "seed")).toBe(7);
  });

  it("are read page by page, and a page that cannot be read is said", async () => {
    const pages: Record<string, unknown> = {
      "/points/?page_size=1000": { next: "/points/?cursor=b", results: [point(0, 1, 1, 1)] },
      "/points/?cursor=b": { next: null, results: [point(1, 1, 1, null)] },
    };
    vi.stubGlobal("fetch", (url: string) =>
      Promise.resolve(
        new Response(JSON.stringify(pages[url] ?? { title: "Gone", detail: "It is gone." }), {
          status: url in pages ? 200 : 404,
          headers: { "Content-Type": "application/json" },
        }),
      ),
    );
    const store = new PointStore();
    await store.load(new ApiClient("t"), "/points/");
    vi.runAllTimers();
    expect(store.list().map((one) => one.error?.code ?? null)).toEqual([null, "diverged"]);
    await store.load(new ApiClient("t"), "/elsewhere/");
    expect(store.problem()).toContain("It is gone");
  });
});

describe("scales", () => {
  it("place numbers evenly, logarithms evenly, and names side by side", () => {
    expect([1, 2, 3].map(scaleOf([3, 1]).place)).toEqual([0, 0.5, 1]);
    const log = scaleOf([0.01, 1], true);
    expect(log.place(0.1)).toBeCloseTo(0.5, 12);
    expect(log.value(0.5)).toBeCloseTo(0.1, 12);
    const names = scaleOf(["b", "a"]);
    expect([names.place("a"), names.place("b"), names.place("c"), names.ends]).toEqual([0, 1, null, null]);
    expect(scaleOf([5, 5]).place(5)).toBe(0.5);
    expect(scaleOf([1, 2]).place(null)).toBeNull();
  });

  it("begin and end with the colours of the map", () => {
    expect([colourAt(-1), colourAt(2)]).toEqual(["rgb(0 34 78)", "rgb(254 232 56)"]);
  });
});

describe("the heat map", () => {
  it("averages what differs on further axes and counts what failed", () => {
    const cells = cellsOf([point(0, 1, 1, 2), point(1, 1, 1, 4), point(2, 1, 1, null), point(3, 2, 1, null)], "a.x", "a.y", "m");
    expect(cells.map(({ x, mean, failed }) => [x, mean, failed])).toEqual([
      [1, 3, 1],
      [2, null, 1],
    ]);
  });

  it("has cells that touch and fill the axis", () => {
    const found = [...edges([0, 0.5, 1, 0.5]).values()];
    expect(found[0]![0]).toBe(0);
    expect(found.at(-1)![1]).toBe(1);
    for (let i = 1; i < found.length; i += 1) expect(found[i]![0]).toBeCloseTo(found[i - 1]![1], 12);
    expect(edges([0.5]).get(0.5)).toEqual([0, 1]);
  });
});

it("keeps the points inside every brushed range", () => {
  const points = [point(0, 1, 1, 2), point(1, 3, 1, 2), point(2, 1, 1, null)];
  expect(points.filter((one) => inside(one, { "a.x": [0, 2], m: [1, 3] })).map((one) => one.index)).toEqual([0]);
  expect(points.filter((one) => inside(one, {}))).toHaveLength(3);
});

it("names metrics as the engine does", () => {
  expect(metricName({ port: "a.m", reduce: "last", start: 0 })).toBe("a.m");
  expect(metricName({ port: "a.m", reduce: "mean", start: 5 })).toBe("mean of a.m from tick 5");
});

describe("the form", () => {
  const declared = (name: string, type: string, live: boolean, more = {}) => ({
    name, type, live, default: 1, unit: "", min: null, max: null, choices: [], doc: "", ...more,
  });
  const data = {
    spec: { nodes: [{ id: "a", kind: "k", params: { x: 4 } }] },
    declarations: {
      k: {
        kind: "k", title: "", summary: "", category: "", inputs: [], outputs: [],
        params: [declared("size", "int", false), declared("x", "float", true), declared("on", "bool", false), declared("how", "choice", false, { choices: [1, "two"] }), declared("note", "text", false)],
      },
    },
    controls: [{ label: "Coupling", target: "a.x", min: 0, max: 2 }],
  };

  it("offers exposed controls first, with their ranges, then everything else and the seed", () => {
    const targets = targetsOf(data);
    expect(targets.map((one) => one.name)).toEqual(["a.x", "a.size", "a.on", "a.how", "seed"]);
    expect([targets[0]!.label, targets[0]!.low, targets[0]!.high, targets[0]!.base]).toEqual(["Coupling (a.x)", 0, 2, 4]);
  });

  it("sends ranges as numbers and choices as what they are", () => {
    const [x, , on, how] = targetsOf(data);
    const axis = { target: "a.x", min: "0.5", max: "2", steps: "4", values: "", scale: "log" as const };
    expect(axisDesign(axis, x!, "grid")).toEqual({ target: "a.x", min: 0.5, max: 2, steps: 4, scale: "log" });
    expect(axisDesign(axis, x!, "sobol")).toEqual({ target: "a.x", min: 0.5, max: 2, scale: "log" });
    expect(axisDesign({ ...axis, target: "a.on", values: "true, false" }, on!, "grid").values).toEqual([true, false]);
    expect(axisDesign({ ...axis, target: "a.how", values: "1, two" }, how!, "grid").values).toEqual([1, "two"]);
  });

  it("sends seed, ticks and time limit where they are given, and what is no number as it was typed", () => {
    expect(lengthOf("", " ", "")).toEqual({});
    expect(lengthOf("7", "1 000", "86\u202f400")).toEqual({ seed: 7, ticks: 1000, max_seconds: 86400 });
    expect(lengthOf("", "", "2 h")).toEqual({ max_seconds: "2h" });
    expect(lengthOf("", "", "-1")).toEqual({ max_seconds: "-1" });
  });
});
