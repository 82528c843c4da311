import { useCallback, useMemo, useState } from "react";
import { token } from "../shared/colour";
import { measured } from "../shared/format";
import { type Area, Canvas } from "./Canvas";
import { type Point, type Value, valueOn } from "./points";
import { COLOUR_BAR, type Scale, colourAt, scaleOf } from "./scale";

const TALL = 320;
const LEFT = 62;
const BOTTOM = 34;
const TOP = 8;
const RIGHT = 10;
const DOT = 4.5;

interface Cell {
  x: Value;
  y: Value;
  points: Point[];
  mean: number | null;
  failed: number;
}

interface HeatMapProps {
  points: readonly Point[];
  x: string;
  y: string;
  metric: string;
  /** Cells side by side, or a dot where each point is. */
  grid: boolean;
  log: ReadonlySet<string>;
}

/** A metric over two axes. What differs on further axes is averaged. */
export function HeatMap({ points, x, y, metric, grid, log }: HeatMapProps) {
  const [chosen, setChosen] = useState<number | null>(null);
  const cells = useMemo(() => cellsOf(points, x, y, metric), [points, x, y, metric]);
  const xs = useMemo(() => scaleOf(cells.map((cell) => cell.x), log.has(x)), [cells, log, x]);
  const ys = useMemo(() => scaleOf(cells.map((cell) => cell.y), log.has(y)), [cells, log, y]);
  const columns = useMemo(() => edges(cells.map((cell) => xs.place(cell.x))), [cells, xs]);
  const rows = useMemo(() => edges(cells.map((cell) => ys.place(cell.y))), [cells, ys]);
  const colours = useMemo(() => scaleOf(cells.map((cell) => cell.mean)), [cells]);

  const spot = useCallback(
    (cell: Cell, width: number) => {
      const wide = width - LEFT - RIGHT;
      const tall = TALL - TOP - BOTTOM;
      const px = xs.place(cell.x) ?? 0;
      const py = ys.place(cell.y) ?? 0;
      if (!grid) return { left: LEFT + px * wide - DOT, top: TOP + (1 - py) * tall - DOT, wide: 2 * DOT, tall: 2 * DOT };
      const [x0, x1] = columns.get(px) ?? [0, 1];
      const [y0, y1] = rows.get(py) ?? [0, 1];
      return { left: LEFT + x0 * wide, top: TOP + (1 - y1) * tall, wide: (x1 - x0) * wide, tall: (y1 - y0) * tall };
    },
    [xs, ys, grid, columns, rows],
  );

  const draw = useCallback(
    ({ context, width }: Area) => {
      const bad = token("--bad");
      cells.forEach((cell, number) => {
        const { left, top, wide, tall } = spot(cell, width);
        const share = colours.place(cell.mean);
        if (share !== null) {
          context.fillStyle = colourAt(share);
          if (grid) context.fillRect(left, top, Math.max(1, wide - 0.5), Math.max(1, tall - 0.5));
          else disc(context, left, top);
        }
        if (cell.failed > 0) cross(context, left, top, wide, tall, bad);
        if (number === chosen) {
          context.strokeStyle = token("--ink");
          context.lineWidth = 2;
          context.strokeRect(left - 1, top - 1, wide + 2, tall + 2);
        }
      });
      frame(context, width, xs, ys);
    },
    [cells, chosen, colours, grid, spot, xs, ys],
  );

  const cell = chosen === null ? undefined : cells[chosen];
  const nearest = (event: React.PointerEvent<HTMLCanvasElement>) => {
    const box = event.currentTarget.getBoundingClientRect();
    const [px, py] = [event.clientX - box.left, event.clientY - box.top];
    let best: number | null = null;
    let least = Number.POSITIVE_INFINITY;
    cells.forEach((one, number) => {
      const { left, top, wide, tall } = spot(one, box.width);
      const far = Math.hypot(left + wide / 2 - px, top + tall / 2 - py);
      if (far < least) [least, best] = [far, number];
    });
    setChosen(best);
  };
  const step = (event: React.KeyboardEvent) => {
    const ahead = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
    if (!ahead || cells.length === 0) return;
    event.preventDefault();
    // Along one axis while the other stays: the next cell in the order of that axis.
    const [along, held] = event.key === "ArrowRight" || event.key === "ArrowLeft" ? (["x", "y"] as const) : (["y", "x"] as const);
    const here = cells[chosen ?? 0]!;
    const line = cells
      .map((one, number) => ({ one, number }))
      .filter(({ one }) => !grid || one[held] === here[held])
      .sort((a, b) => Number((along === "x" ? xs : ys).place(a.one[along])) - Number((along === "x" ? xs : ys).place(b.one[along])));
    const at = line.findIndex(({ one }) => one === here);
    setChosen(line[Math.min(line.length - 1, Math.max(0, at + (chosen === null ? 0 : ahead)))]?.number ?? null);
  };

  return (
    <figure className="series-figure">
      <Canvas
        tall={TALL}
        draw={draw}
        role="img"
        tabIndex={0}
        data-view="heat-map"
        aria-label={`${metric} over ${x} and ${y}, ${cells.length} places. Arrow keys go from place to place.`}
        onPointerMove={nearest}
        onPointerDown={nearest}
        onPointerLeave={() => setChosen(null)}
        onKeyDown={step}
      />
      <figcaption className="series-caption">
        <span className="mono">{x}</span> across, <span className="mono">{y}</span> upwards
        <ColourBar metric={metric} scale={colours} />
      </figcaption>
      <p className="series-readout num" aria-live="polite">
        {cell ? (
          <>
            {x} {shown(cell.x)}, {y} {shown(cell.y)}: {cell.mean === null ? "no value" : measured(cell.mean)}
            {cell.points.length > 1 && `, mean of ${cell.points.length - cell.failed} points`}
            {cell.failed > 0 && `, ${cell.failed} failed`}
          </>
        ) : (
          "Point at a place, or go through them with the arrow keys, to read its value."
        )}
      </p>
    </figure>
  );
}

export function ColourBar({ metric, scale }: { metric: string; scale: Scale }) {
  const [low, high] = scale.ends ?? [0, 1];
  return (
    <span className="colour-bar num">
      <span>{measured(low)}</span>
      <i style={{ background: COLOUR_BAR }} aria-hidden="true" />
      <span>{measured(high)}</span>
      <span className="mono">{metric}</span>
    </span>
  );
}

export function shown(value: Value): string {
  if (typeof value === "number") return Number.isInteger(value) ? String(value) : measured(value);
  return value === null ? "–" : String(value);
}

export function cellsOf(points: readonly Point[], x: string, y: string, metric: string): Cell[] {
  const cells = new Map<string, Cell>();
  for (const point of points) {
    const [px, py] = [valueOn(point, x), valueOn(point, y)];
    const key = JSON.stringify([px, py]);
    const cell = cells.get(key) ?? { x: px, y: py, points: [], mean: null, failed: 0 };
    cell.points.push(point);
    if (point.error) cell.failed += 1;
    cells.set(key, cell);
  }
  for (const cell of cells.values()) {
    const values = cell.points.map((point) => valueOn(point, metric)).filter((value) => typeof value === "number");
    if (values.length > 0) cell.mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  }
  return [...cells.values()];
}

/** From where to where each of the places reaches: half-way to its neighbours. */
export function edges(places: readonly (number | null)[]): Map<number, readonly [number, number]> {
  const sorted = [...new Set(places.filter((place) => place !== null))].sort((a, b) => a - b);
  const found = new Map<number, readonly [number, number]>();
  const inner = (place: number) => (place * (sorted.length - 1) + 0.5) / sorted.length;
  sorted.forEach((place, i) => {
    const low = i === 0 ? 0 : inner((sorted[i - 1]! + place) / 2);
    const high = i === sorted.length - 1 ? 1 : inner((place + sorted[i + 1]!) / 2);
    found.set(place, [low, high]);
  });
  return found;
}

function disc(context: CanvasRenderingContext2D, left: number, top: number): void {
  context.beginPath();
  context.arc(left + DOT, top + DOT, DOT, 0, 2 * Math.PI);
  context.fill();
}

/** A failure is told by its form, not by its colour alone. */
function cross(context: CanvasRenderingContext2D, left: number, top: number, wide: number, tall: number, colour: string): void {
  const reach = Math.min(6, wide / 2, tall / 2);
  const [x, y] = [left + wide / 2, top + tall / 2];
  context.strokeStyle = colour;
  context.lineWidth = 2;
  context.beginPath();
  context.moveTo(x - reach, y - reach);
  context.lineTo(x + reach, y + reach);
  context.moveTo(x + reach, y - reach);
  context.lineTo(x - reach, y + reach);
  context.stroke();
}

function frame(context: CanvasRenderingContext2D, width: number, xs: Scale, ys: Scale): void {
  const wide = width - LEFT - RIGHT;
  const tall = TALL - TOP - BOTTOM;
  context.strokeStyle = token("--line-strong");
  context.lineWidth = 1;
  context.strokeRect(LEFT - 0.5, TOP - 0.5, wide + 1, tall + 1);
  context.fillStyle = token("--ink-2");
  context.font = '12px "Instrument Sans Variable", sans-serif';
  context.textBaseline = "top";
  xs.ticks.forEach(({ at, value }) => {
    context.textAlign = at === 0 ? "left" : at === 1 ? "right" : "center";
    context.fillText(shown(value), LEFT + at * wide, TOP + tall + 8);
  });
  context.textAlign = "right";
  ys.ticks.forEach(({ at, value }) => {
    context.textBaseline = at === 0 ? "bottom" : at === 1 ? "top" : "middle";
    context.fillText(shown(value), LEFT - 8, TOP + (1 - at) * tall, LEFT - 10);
  });
}
