import { useEffect, useRef, useState } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { token } from "../../shared/colour";
import { measured } from "../../shared/format";
import { onThemeChange } from "../../site/theme";
import { useFrames, useLive, useVisible } from "../context";
import { DETECTOR_CLASSES } from "../gates";
import { type Frame, numbers } from "../protocol";
import { SeriesRing } from "../series";
import { type Source, type View, entryNames } from "../wiring";
import { NoData } from "./NoData";

const RATE = 15;
const KEPT = 1500;
const HEIGHT = 150;
const TICKS_PER_SECOND = 100;

/** Several ports over time, one plot each, because their units differ. */
export function SeriesView({ view }: { view: View }) {
  const [box, visible] = useVisible<HTMLDivElement>();
  return (
    <section className="panel view" aria-labelledby={`view-${view.node.id}`}>
      <div className="panel-head">
        <h2 id={`view-${view.node.id}`}>{view.title}</h2>
        <span className="panel-note">against model time in seconds</span>
      </div>
      <div className="panel-body plots" ref={box} data-view="series">
        {view.sources.map((source) => (
          <Plot key={`${source.node}.${source.port}`} source={source} visible={visible} group={view.node.id} />
        ))}
      </div>
    </section>
  );
}

interface PlotProps {
  source: Source;
  visible: boolean;
  group: string;
}

function Plot({ source, visible, group }: PlotProps) {
  const { clock, spec, declarations } = useLive();
  const target = useRef<HTMLDivElement>(null);
  const ring = useRef<SeriesRing | null>(null);
  const plot = useRef<uPlot | null>(null);
  const drawn = useRef(0);
  const [width, setWidth] = useState<number | null>(null);
  const [latest, setLatest] = useState<number[] | null>(null);
  const entries = entryNames(spec, declarations, source);
  const names = seriesNames(source, width, entries);
  // Only classes have entries with names, and what they carry are probabilities.
  const isProbability = entries !== null;

  const draw = useRef(() => {
    if (!ring.current || !plot.current) return;
    plot.current.setData(ring.current.columns() as unknown as uPlot.AlignedData);
    drawn.current += 1;
    const holder = target.current;
    if (holder) holder.dataset.framesDrawn = String(drawn.current);
  });

  useFrames({ node: source.node, port: source.port, rate: RATE, decimation: 1, take: null }, visible, (frame) => {
    const rows = rowsOf(frame);
    if (!rows) return;
    if (ring.current === null || ring.current.width !== rows.width) {
      ring.current = new SeriesRing(rows.width, KEPT);
      setWidth(rows.width);
    }
    frame.ticks.forEach((tick, i) => {
      ring.current?.push(tick, tick / TICKS_PER_SECOND, rows.values, i * rows.width);
    });
    clock.mark(draw.current);
  });

  useEffect(() => {
    if (width === null || !target.current) return;
    const holder = target.current;
    const build = () => {
      plot.current?.destroy();
      plot.current = new uPlot(options(names, holder.clientWidth, group, isProbability), [[]], holder);
      clock.mark(draw.current);
    };
    build();
    const fit = new ResizeObserver(() => plot.current?.setSize({ width: holder.clientWidth, height: HEIGHT }));
    fit.observe(holder);
    const forget = onThemeChange(build);
    const timer = setInterval(() => setLatest(ring.current?.last() ?? null), 250);
    return () => {
      fit.disconnect();
      forget();
      clearInterval(timer);
      plot.current?.destroy();
      plot.current = null;
    };
    // The names follow from the width.
  }, [width, group, isProbability, clock, names.length]);

  return (
    <div className="plot">
      <div className="plot-head">
        <h3 className="mono">{`${source.node}.${source.port}`}</h3>
        <ul className="plot-legend num">
          {width !== null &&
            names.map((name, i) => (
              <li key={name}>
                <i className="line" data-series={seriesKey(name, i)} aria-hidden="true" />
                {names.length > 1 && <span>{name}</span>}
                <span>{latest ? measured(latest[i] ?? Number.NaN) : "no data"}</span>
              </li>
            ))}
        </ul>
      </div>
      <div
        ref={target}
        className="plot-canvas"
        role="img"
        aria-label={`${source.node}.${source.port} over time`}
        data-frames-drawn="0"
      >
        {width === null && <NoData hint="This port has said nothing yet." />}
      </div>
    </div>
  );
}

function rowsOf(frame: Frame): { values: ArrayLike<number>; width: number } | null {
  if (frame.kind === "scalar") return { values: frame.values, width: 1 };
  if (frame.codec !== "raw" || frame.dtype === "i8") return null;
  const values = numbers(frame);
  if (values instanceof BigInt64Array) return null;
  return { values, width: frame.shape.slice(1).reduce((product, n) => product * n, 1) };
}

function seriesNames(source: Source, width: number | null, entries: string[] | null): string[] {
  if (entries !== null && entries.length === width) return entries;
  if (width === 1 || width === null) return [source.port];
  return Array.from({ length: width }, (_, i) => String(i));
}

/** What the stylesheet calls the line; classes have their own colours everywhere. */
function seriesKey(name: string, index: number): string {
  return DETECTOR_CLASSES.some((one) => one.name === name) ? name : index % 2 === 0 ? "a" : "b";
}

function seriesColour(name: string, index: number): string {
  const gate = DETECTOR_CLASSES.find((one) => one.name === name);
  if (gate) return token(gate.name === "none" ? "--line-strong" : gate.token);
  return token(index % 2 === 0 ? "--lobe-a" : "--lobe-b");
}

function options(names: string[], width: number, group: string, isProbability: boolean): uPlot.Options {
  const ink = token("--ink-3");
  const grid = { stroke: token("--line"), width: 1 };
  const font = '12px "Instrument Sans Variable", sans-serif';
  return {
    width,
    height: HEIGHT,
    legend: { show: false },
    cursor: { sync: { key: group }, points: { size: 5 } },
    scales: { x: { time: false }, y: isProbability ? { range: [0, 1] } : {} },
    axes: [
      { stroke: ink, grid, ticks: grid, font, size: 28, gap: 4 },
      { stroke: ink, grid, ticks: grid, font, size: 46, gap: 4, space: 34 },
    ],
    series: [
      { label: "t" },
      ...names.map((label, index) => ({
        label,
        stroke: seriesColour(label, index),
        width: 1.6,
        points: { show: false },
        // Lines of classes that look alike on some screens differ in their dashes as well.
        dash: label === "none" ? [4, 4] : [],
      })),
    ],
  };
}
