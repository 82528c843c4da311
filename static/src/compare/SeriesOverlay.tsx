import { useEffect, useId, useMemo, useRef, useState } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import type { ApiClient } from "../api/client";
import { token } from "../shared/colour";
import { measured, whole } from "../shared/format";
import { currentTheme, onThemeChange } from "../site/theme";
import { Legend, toggled } from "./Legend";
import { lineStyle } from "./overlay";
import { type Axis, type Gathered, type RecordedPort, type RunSeries, readAt, readSeries, spans, trace } from "./series";

export interface SeriesData {
  recorded: RecordedPort[];
  /** Of the series of these runs; port, axis and element are added. */
  series_url: string;
  runs: { id: string; label: string }[];
}

const TALL = 360;
const STEPS = 1000;
const AXIS_NAMES: Record<Axis, string> = { seconds: "simulated time, s", ticks: "tick" };

/** What the runs recorded of one port, over each other on one axis, with a place at which all are read out. */
export function SeriesOverlay({ data, api }: { data: SeriesData; api: ApiClient }) {
  const asked = useRef(new URL(location.href).searchParams).current;
  const [port, setPort] = useState(() => asked.get("port") ?? data.recorded[0]?.port ?? "");
  const [axis, setAxis] = useState<Axis>(() => (asked.get("axis") === "ticks" ? "ticks" : "seconds"));
  const [element, setElement] = useState(() => Number(asked.get("element")) || 0);
  const [found, setFound] = useState<Gathered | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [reading, setReading] = useState(false);
  const [times, setTimes] = useState(0);
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set());
  const [place, setPlace] = useState<number | null>(null);
  const [theme, setTheme] = useState(currentTheme);
  useEffect(() => onThemeChange(setTheme), []);
  const known = data.recorded.find((one) => one.port === port) ?? data.recorded[0];
  const chosen = known?.port ?? "";
  const most = (known?.elements ?? 1) - 1;
  const at = Math.min(element, most);

  useEffect(() => {
    if (!chosen) return;
    let current = true;
    setFound(null);
    setProblem(null);
    setReading(true);
    // The choice is part of the address that is passed on.
    const here = new URL(location.href);
    here.searchParams.set("port", chosen);
    here.searchParams.set("axis", axis);
    if (at > 0) here.searchParams.set("element", String(at));
    else here.searchParams.delete("element");
    history.replaceState(null, "", here);
    readSeries(
      api,
      `${data.series_url}&port=${encodeURIComponent(chosen)}&axis=${axis}&element=${at}`,
      (page) => current && setFound(page),
      () => !current,
    )
      .catch((error: unknown) => current && setProblem(error instanceof Error ? error.message : String(error)))
      .finally(() => current && setReading(false));
    return () => {
      current = false;
    };
  }, [api, data.series_url, chosen, axis, at, times]);

  const order = useMemo(() => new Map(data.runs.map((run, index) => [run.id, index])), [data.runs]);
  const shown = useMemo(() => (found?.series ?? []).filter((one) => !hidden.has(one.run)), [found, hidden]);
  const range = useMemo(() => spans(found?.series ?? []), [found]);
  const dark = theme === "dark";
  // Unless somebody says where, their last values are read out.
  const where = place ?? range.x[1];

  if (!known) {
    return (
      <div className="empty">
        <h3>No port was recorded by two of these runs</h3>
        <p>
          Single runs record their scalar outputs and what their views show, once they are over. Recordings that were deleted, and
          sweeps and fits, have no series.
        </p>
      </div>
    );
  }
  const again = () => setTimes((n) => n + 1);
  const label = (run: string) => data.runs[order.get(run) ?? 0]?.label ?? run;
  return (
    <div className="stack">
      <div className="overlay-choice">
        <PortField ports={data.recorded} value={chosen} runs={data.runs.length} onChange={setPort} />
        <div className="field" role="group" aria-label="Axis">
          <span className="legend">Against</span>
          <div className="segments">
            {(["seconds", "ticks"] as const).map((one) => (
              <button key={one} type="button" aria-pressed={axis === one} onClick={() => (setAxis(one), setPlace(null))}>
                {one === "seconds" ? "Time" : "Ticks"}
              </button>
            ))}
          </div>
        </div>
        {most > 0 && <ElementField value={at} most={most} onChange={setElement} />}
      </div>
      {problem && (
        <div className="callout bad" role="alert">
          <p>The series could not be read: {problem}</p>
          <button type="button" className="button small" onClick={again}>
            Try again
          </button>
        </div>
      )}
      {reading && (
        <p className="panel-note" role="status">
          Reading the recordings{found ? `: ${found.series.length + found.leftOut.length} of ${found.count} runs` : ""}
        </p>
      )}
      {found && found.series.length > 0 && (
        <>
          <SeriesPlot
            series={shown}
            range={range}
            xName={AXIS_NAMES[axis]}
            yName={named(known, at, found.unit)}
            indexOf={order}
            dark={dark}
            place={place}
            onPlace={setPlace}
          />
          <PlaceField range={range.x} axis={axis} place={where} onChange={setPlace} />
          <Legend
            entries={found.series.map((one) => ({
              run: one.run,
              index: order.get(one.run) ?? 0,
              label: label(one.run),
              readout: hidden.has(one.run) ? undefined : <Readout one={one} place={where} unit={found.unit} axis={axis} />,
            }))}
            hidden={hidden}
            dark={dark}
            onToggle={(run) => setHidden(toggled(hidden, run))}
          />
          <Sums series={found.series} />
        </>
      )}
      {found && found.leftOut.length > 0 && (
        <details className="left-out">
          <summary>
            {whole(found.leftOut.length)} run{found.leftOut.length === 1 ? " is" : "s are"} not in the plot
          </summary>
          <ul>
            {found.leftOut.map((one) => (
              <li key={one.run} data-code={one.code}>
                {label(one.run)}: {one.message}
              </li>
            ))}
          </ul>
          {found.leftOut.some((one) => one.code === "recording_pending" || one.code === "run_not_over") && (
            <button type="button" className="button small" onClick={again}>
              Look again
            </button>
          )}
        </details>
      )}
    </div>
  );
}

function named(port: RecordedPort, element: number, unit: string): string {
  const name = port.elements > 1 ? `${port.port}, element ${element}` : port.port;
  return unit ? `${name}, ${unit}` : name;
}

interface PortFieldProps {
  ports: readonly RecordedPort[];
  value: string;
  runs: number;
  onChange: (port: string) => void;
}

function PortField({ ports, value, runs, onChange }: PortFieldProps) {
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={id}>Recorded port</label>
      <select id={id} value={value} onChange={(event) => onChange(event.target.value)}>
        {ports.map((one) => (
          <option key={one.port} value={one.port}>
            {one.port}
            {one.runs < runs ? ` (${one.runs} of ${runs} runs)` : ""}
          </option>
        ))}
      </select>
    </div>
  );
}

function ElementField({ value, most, onChange }: { value: number; most: number; onChange: (element: number) => void }) {
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={id}>Element</label>
      <input
        id={id}
        type="number"
        inputMode="numeric"
        min={0}
        max={most}
        step={1}
        value={value}
        onChange={(event) => onChange(Math.min(most, Math.max(0, Math.floor(Number(event.target.value)) || 0)))}
      />
    </div>
  );
}

interface PlaceFieldProps {
  range: readonly [number, number];
  axis: Axis;
  place: number;
  onChange: (place: number) => void;
}

/** Where the series are read out; a pointer over the plot moves it as well. */
function PlaceField({ range: [low, high], axis, place, onChange }: PlaceFieldProps) {
  const id = useId();
  const share = (place - low) / (high - low);
  return (
    <div className="field">
      <label htmlFor={id}>
        Read out at <output htmlFor={id}>{said(place, axis)}</output>
      </label>
      <input
        id={id}
        type="range"
        min={0}
        max={STEPS}
        step={1}
        value={Math.round(share * STEPS)}
        aria-valuetext={said(place, axis)}
        onChange={(event) => onChange(low + (Number(event.target.value) / STEPS) * (high - low))}
      />
    </div>
  );
}

function said(place: number, axis: Axis): string {
  return axis === "ticks" ? `tick ${whole(place)}` : `${measured(place)} s`;
}

function Readout({ one, place, unit, axis }: { one: RunSeries; place: number; unit: string; axis: Axis }) {
  const found = readAt(one, place);
  if (!found) return <span className="readout meta">–</span>;
  return (
    <span className="readout num" title={`at ${said(found.x, axis)}`}>
      {found.y === null ? "not finite" : `${measured(found.y)}${unit ? ` ${unit}` : ""}`}
    </span>
  );
}

function Sums({ series }: { series: readonly RunSeries[] }) {
  const samples = series.reduce((sum, one) => sum + one.samples, 0);
  const broken = series.reduce((sum, one) => sum + one.not_finite, 0);
  const thinned = series.some((one) => one.thinned);
  return (
    <p className="panel-note num">
      {whole(samples)} values{thinned ? ", drawn by the smallest and the largest of even intervals" : ""}
      {broken > 0 ? `; ${whole(broken)} are not finite and leave gaps` : ""}.
    </p>
  );
}

interface SeriesPlotProps {
  series: RunSeries[];
  range: { x: readonly [number, number]; y: readonly [number, number] };
  xName: string;
  yName: string;
  indexOf: ReadonlyMap<string, number>;
  dark: boolean;
  place: number | null;
  onPlace: (place: number) => void;
}

/** uPlot draws the axes. The lines have places of their own each, which its one column of places cannot hold: they are
 *  painted over them. */
function SeriesPlot({ series, range, xName, yName, indexOf, dark, place, onPlace }: SeriesPlotProps) {
  const holder = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const lines = useRef(series);
  const tell = useRef(onPlace);
  tell.current = onPlace;

  useEffect(() => {
    const box = holder.current;
    if (!box) return;
    const ink = token("--ink-2");
    const grid = { stroke: token("--line"), width: 1 };
    const font = '12px "Instrument Sans Variable", sans-serif';
    const made = new uPlot(
      {
        width: box.clientWidth,
        height: TALL,
        legend: { show: false },
        cursor: { y: false, points: { show: false }, drag: { x: false, y: false, setScale: false } },
        scales: { x: { time: false, range: [...range.x] }, y: { range: [...range.y] } },
        axes: [
          { stroke: ink, grid, ticks: grid, font, labelFont: font, label: xName, size: 34, labelSize: 20 },
          { stroke: ink, grid, ticks: grid, font, labelFont: font, label: yName, size: 62, labelSize: 20 },
        ],
        series: [{ label: xName }, { label: yName, stroke: "transparent", points: { show: false } }],
        hooks: {
          draw: [(self) => paint(self, lines.current, indexOf, dark)],
          setCursor: [
            (self) => {
              const left = self.cursor.left ?? -1;
              if (left >= 0) tell.current(self.posToVal(left, "x"));
            },
          ],
        },
      },
      [[...range.x], [...range.y]],
      box,
    );
    plot.current = made;
    const fit = new ResizeObserver(() => made.setSize({ width: box.clientWidth, height: TALL }));
    fit.observe(box);
    return () => {
      fit.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [range, xName, yName, indexOf, dark]);

  useEffect(() => {
    lines.current = series;
    plot.current?.redraw(false, false);
  }, [series]);

  useEffect(() => {
    const made = plot.current;
    if (!made || place === null) return;
    // In silence: what the field below sets must not come back as the pointer's.
    made.setCursor({ left: made.valToPos(place, "x"), top: 0 }, false);
  }, [place, range, xName, yName, dark]);

  return (
    <div
      ref={holder}
      className="plot-canvas series-overlay"
      role="img"
      data-view="series"
      data-lines={series.length}
      aria-label={`${yName} of ${series.length} runs against ${xName}. The list below reads them out.`}
    />
  );
}

function paint(plot: uPlot, series: readonly RunSeries[], indexOf: ReadonlyMap<string, number>, dark: boolean): void {
  const { ctx, bbox } = plot;
  const [x0, x1] = [plot.scales.x!.min!, plot.scales.x!.max!];
  const [y0, y1] = [plot.scales.y!.min!, plot.scales.y!.max!];
  const left = (x: number) => bbox.left + ((x - x0) / (x1 - x0)) * bbox.width;
  const top = (y: number) => bbox.top + (1 - (y - y0) / (y1 - y0)) * bbox.height;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  ctx.lineJoin = "round";
  ctx.lineWidth = 1.4 * devicePixelRatio;
  for (const one of series) {
    const style = lineStyle(indexOf.get(one.run) ?? 0, dark);
    ctx.strokeStyle = style.colour;
    ctx.setLineDash(style.dash.map((length) => length * devicePixelRatio));
    ctx.beginPath();
    trace(ctx, one, left, top);
    ctx.stroke();
  }
  ctx.restore();
}
