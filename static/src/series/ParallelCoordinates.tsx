import { useCallback, useMemo, useRef } from "react";
import { token } from "../shared/colour";
import { measured } from "../shared/format";
import { type Area, Canvas } from "./Canvas";
import { ColourBar, shown } from "./HeatMap";
import { type Ranges, inside } from "./filter";
import { type Point, valueOn } from "./points";
import { type Scale, colourAt, scaleOf } from "./scale";

const TALL = 300;
const TOP = 46;
const BOTTOM = 24;
const SIDE = 46;
const NARROWEST = 96;

interface ParallelCoordinatesProps {
  points: readonly Point[];
  columns: readonly string[];
  metric: string;
  log: ReadonlySet<string>;
  ranges: Ranges;
  onRanges: (ranges: Ranges) => void;
}

/** One line for each point, through its value on every axis; dragging along an axis keeps the points of a range. */
export function ParallelCoordinates({ points, columns, metric, log, ranges, onRanges }: ParallelCoordinatesProps) {
  const scales = useMemo(
    () => columns.map((column) => scaleOf(points.map((point) => valueOn(point, column)), log.has(column))),
    [points, columns, log],
  );
  const colours = useMemo(() => scaleOf(points.map((point) => valueOn(point, metric))), [points, metric]);
  const drag = useRef<{ column: number; from: number } | null>(null);
  const at = useCallback(
    (number: number, width: number) => SIDE + (columns.length > 1 ? number / (columns.length - 1) : 0.5) * (width - 2 * SIDE),
    [columns.length],
  );

  const draw = useCallback(
    ({ context, width }: Area) => {
      const tall = TALL - TOP - BOTTOM;
      const height = (share: number) => TOP + (1 - share) * tall;
      const [faint, bad] = [token("--line"), token("--bad")];
      context.lineWidth = points.length > 500 ? 0.6 : 1.2;
      const line = (point: Point) => {
        context.beginPath();
        let begun = false;
        columns.forEach((column, number) => {
          const share = scales[number]!.place(valueOn(point, column));
          if (share === null) return;
          if (begun) context.lineTo(at(number, width), height(share));
          else context.moveTo(at(number, width), height(share));
          begun = true;
        });
        context.stroke();
      };
      const [kept, others] = [[] as Point[], [] as Point[]];
      for (const point of points) (inside(point, ranges) ? kept : others).push(point);
      context.strokeStyle = faint;
      others.forEach(line);
      for (const point of kept) {
        const share = colours.place(valueOn(point, metric));
        context.setLineDash(point.error ? [3, 4] : []);
        context.strokeStyle = point.error ? bad : share === null ? faint : colourAt(share);
        line(point);
      }
      context.setLineDash([]);
      axes(context, width, columns, scales, ranges, at, height);
    },
    [points, columns, scales, colours, metric, ranges, at],
  );

  const grip = (event: React.PointerEvent<HTMLCanvasElement>) => {
    const box = event.currentTarget.getBoundingClientRect();
    const share = 1 - (event.clientY - box.top - TOP) / (TALL - TOP - BOTTOM);
    const x = event.clientX - box.left;
    let column = 0;
    columns.forEach((_, number) => {
      if (Math.abs(at(number, box.width) - x) < Math.abs(at(column, box.width) - x)) column = number;
    });
    return { column, share: Math.min(1, Math.max(0, share)) };
  };
  const brush = (column: number, from: number, to: number) => {
    const name = columns[column]!;
    const { [name]: _, ...others } = ranges;
    const [low, high] = [scales[column]!.value(Math.min(from, to)), scales[column]!.value(Math.max(from, to))];
    const range = low === null || high === null || Math.abs(to - from) < 0.02 ? null : ([low, high] as const);
    onRanges(range ? { ...others, [name]: range } : others);
  };

  return (
    <figure className="series-figure">
      <div className="series-scroll">
        <Canvas
          tall={TALL}
          draw={draw}
          style={{ height: TALL, minWidth: columns.length * NARROWEST, touchAction: "pan-x" }}
          role="img"
          data-view="parallel"
          aria-label={`${points.length} points over ${columns.join(", ")}. The fields below choose ranges.`}
          onPointerDown={(event) => {
            const { column, share } = grip(event);
            drag.current = { column, from: share };
            event.currentTarget.setPointerCapture(event.pointerId);
          }}
          onPointerMove={(event) => {
            if (drag.current) brush(drag.current.column, drag.current.from, grip(event).share);
          }}
          onPointerUp={(event) => {
            if (drag.current) brush(drag.current.column, drag.current.from, grip(event).share);
            drag.current = null;
          }}
        />
      </div>
      <figcaption className="series-caption">
        Drag along an axis to keep a range of it
        <ColourBar metric={metric} scale={colours} />
      </figcaption>
      <details className="series-ranges">
        <summary>Ranges{Object.keys(ranges).length > 0 && ` (${Object.keys(ranges).length})`}</summary>
        <div className="range-fields">
          {columns.map((column, number) => {
            const ends = scales[number]!.ends;
            if (!ends) return null;
            const [low, high] = ranges[column] ?? ends;
            const set = (from: number, to: number) => {
              if (Number.isFinite(from) && Number.isFinite(to)) onRanges({ ...ranges, [column]: [from, to] });
            };
            return (
              <fieldset key={column}>
                <legend className="mono">{column}</legend>
                <input className="input small-input" type="number" step="any" aria-label={`${column} from`} value={Number(low.toPrecision(6))}
                  onChange={(event) => set(event.target.valueAsNumber, high)} />
                <input className="input small-input" type="number" step="any" aria-label={`${column} to`} value={Number(high.toPrecision(6))}
                  onChange={(event) => set(low, event.target.valueAsNumber)} />
              </fieldset>
            );
          })}
        </div>
        <button type="button" className="button small" disabled={Object.keys(ranges).length === 0} onClick={() => onRanges({})}>
          Show all points
        </button>
      </details>
    </figure>
  );
}

function axes(
  context: CanvasRenderingContext2D,
  width: number,
  columns: readonly string[],
  scales: readonly Scale[],
  ranges: Ranges,
  at: (number: number, width: number) => number,
  height: (share: number) => number,
): void {
  context.font = '12px "Instrument Sans Variable", sans-serif';
  context.textAlign = "center";
  columns.forEach((column, number) => {
    const x = at(number, width);
    const scale = scales[number]!;
    context.strokeStyle = token("--line-strong");
    context.lineWidth = 1;
    context.beginPath();
    context.moveTo(x, height(0));
    context.lineTo(x, height(1));
    context.stroke();
    const range = ranges[column];
    if (range) {
      const [low, high] = [scale.place(range[0]) ?? 0, scale.place(range[1]) ?? 1];
      context.strokeStyle = token("--accent");
      context.lineWidth = 4;
      context.beginPath();
      context.moveTo(x, height(Math.max(0, low)));
      context.lineTo(x, height(Math.min(1, high)));
      context.stroke();
    }
    context.fillStyle = token("--ink");
    context.textBaseline = "top";
    // Names of the outer axes reach inwards, so that none is cut off.
    const outer = number === 0 ? "left" : "right";
    const inward = number === 0 ? x - SIDE : x + SIDE;
    const isOuter = number === 0 || number === columns.length - 1;
    context.textAlign = isOuter ? outer : "center";
    context.fillText(column, isOuter ? inward : x, number % 2 ? 0 : 11, (1.6 * width) / columns.length);
    context.textAlign = "center";
    context.fillStyle = token("--ink-2");
    context.textBaseline = "bottom";
    const [low, high] = scale.ends ?? [null, null];
    if (high !== null) context.fillText(measured(high), x, TOP - 3);
    context.textBaseline = "top";
    if (low !== null) context.fillText(measured(low), x, TALL - BOTTOM + 5);
    if (!scale.ends) {
      context.textBaseline = "middle";
      for (const tick of scale.ticks) context.fillText(shown(tick.value), x, height(tick.at));
    }
  });
}
