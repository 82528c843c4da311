import { useEffect, useRef, useState } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import type { ApiClient } from "../api/client";
import { token } from "../shared/colour";
import { currentTheme, onThemeChange } from "../site/theme";
import { Legend, toggled } from "./Legend";
import { type RunCurve, aligned, lineStyle } from "./overlay";

export interface CompareData {
  curves: string[];
  /** Of the curves of these runs; the name is added. */
  url: string;
  runs: { id: string; label: string }[];
}

const TALL = 340;

/** One output, or one metric of sweeps and fits, of all runs in one plot. */
export function Overlay({ data, api }: { data: CompareData; api: ApiClient }) {
  const [name, setName] = useState(() => chosen(data.curves));
  const [curves, setCurves] = useState<RunCurve[] | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set());

  const [, draw] = useState(0);
  useEffect(() => onThemeChange(() => draw((times) => times + 1)), []);
  useEffect(() => {
    if (!name) return;
    let current = true;
    setCurves(null);
    setProblem(null);
    // The choice is part of the address that is passed on.
    const here = new URL(location.href);
    here.searchParams.set("curve", name);
    history.replaceState(null, "", here);
    api.get<{ curves: RunCurve[] }>(`${data.url}&name=${encodeURIComponent(name)}`).then(
      (found) => current && setCurves(found.curves),
      (error: unknown) => current && setProblem(error instanceof Error ? error.message : String(error)),
    );
    return () => {
      current = false;
    };
  }, [api, data.url, name]);

  if (data.curves.length === 0) {
    return (
      <div className="empty">
        <h3>Nothing to lay over each other</h3>
        <p>None of these runs has an output of several numbers in its result, or points of a sweep or a fit.</p>
      </div>
    );
  }
  const indexOf = (run: string) => order.get(run) ?? 0;
  const order = new Map(data.runs.map((run, index) => [run.id, index]));
  const dark = currentTheme() === "dark";
  const shown = (curves ?? []).filter((one) => !hidden.has(one.run));
  return (
    <div className="stack">
      <div className="field">
        <label htmlFor="curve">What</label>
        <select id="curve" value={name} onChange={(event) => setName(event.target.value)}>
          {data.curves.map((one) => (
            <option key={one}>{one}</option>
          ))}
        </select>
      </div>
      {problem && (
        <p className="callout bad" role="alert">
          The curves could not be read: {problem}
        </p>
      )}
      {!problem && curves === null && <p className="panel-note" role="status">Reading the curves</p>}
      {curves && curves.length === 0 && <p className="panel-note">No run has values of it yet.</p>}
      {curves && curves.length > 0 && (
        <>
          <Lines curves={shown} name={name} indexOf={indexOf} />
          <Legend
            entries={curves.map(({ run }) => ({ run, index: indexOf(run), label: data.runs[indexOf(run)]?.label ?? run }))}
            hidden={hidden}
            dark={dark}
            onToggle={(run) => setHidden(toggled(hidden, run))}
          />
        </>
      )}
    </div>
  );
}

function chosen(curves: readonly string[]): string {
  const asked = new URL(location.href).searchParams.get("curve");
  return asked && curves.includes(asked) ? asked : (curves[0] ?? "");
}

function Lines({ curves, name, indexOf }: { curves: RunCurve[]; name: string; indexOf: (run: string) => number }) {
  const holder = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const box = holder.current;
    if (!box) return;
    let plot: uPlot | null = null;
    const build = () => {
      plot?.destroy();
      plot = new uPlot(options(box.clientWidth, name, curves, indexOf), aligned(curves) as uPlot.AlignedData, box);
    };
    build();
    const fit = new ResizeObserver(() => plot?.setSize({ width: box.clientWidth, height: TALL }));
    fit.observe(box);
    const forget = onThemeChange(build);
    return () => {
      fit.disconnect();
      forget();
      plot?.destroy();
    };
  }, [curves, name, indexOf]);
  return (
    <div
      ref={holder}
      className="plot-canvas"
      role="img"
      data-view="overlay"
      data-lines={curves.length}
      aria-label={`${name} of ${curves.length} runs over each other`}
    />
  );
}

function options(width: number, name: string, curves: RunCurve[], indexOf: (run: string) => number): uPlot.Options {
  const ink = token("--ink-2");
  const grid = { stroke: token("--line"), width: 1 };
  const font = '12px "Instrument Sans Variable", sans-serif';
  const dark = currentTheme() === "dark";
  return {
    width,
    height: TALL,
    legend: { show: false },
    scales: { x: { time: false } },
    axes: [
      { stroke: ink, grid, ticks: grid, font, labelFont: font, label: "entry, point or iteration", size: 34, labelSize: 20 },
      { stroke: ink, grid, ticks: grid, font, labelFont: font, label: name, size: 62, labelSize: 20 },
    ],
    series: [
      { label: "place" },
      ...curves.map((one) => {
        const style = lineStyle(indexOf(one.run), dark);
        return { label: one.run, stroke: style.colour, dash: style.dash, width: 1.6, spanGaps: false, points: { show: one.x.length < 60, size: 4 } };
      }),
    ],
  };
}
