import { useMemo, useState } from "react";
import { isFinal } from "../api/run";
import { useLive, usePoints, useSnapshot } from "../live/context";
import { whole } from "../shared/format";
import { toast } from "../site/toasts";
import { Curve } from "./Curve";
import { HeatMap } from "./HeatMap";
import { ParallelCoordinates } from "./ParallelCoordinates";
import { PointTable } from "./PointTable";
import { type SweepDesign, metricName } from "./design";
import { type Ranges, inside } from "./filter";
import { valueOn } from "./points";

/** A sweep: its points as a map or a curve, as parallel coordinates and as a table, while they become done. */
export function SweepPanel() {
  const { run } = useSnapshot();
  const { points, problem } = usePoints();
  const design = run.design as unknown as SweepDesign;
  const targets = useMemo(() => design.axes.map((axis) => axis.target), [design]);
  const metrics = useMemo(() => design.metrics.map(metricName), [design]);
  const log = useMemo(
    () => new Set(design.axes.filter((axis) => axis.scale === "log").map((axis) => axis.target)),
    [design],
  );
  const [metric, setMetric] = useState(metrics[0] ?? "");
  const [x, setX] = useState(targets[0] ?? "");
  const [y, setY] = useState(targets[1] ?? "");
  const [ranges, setRanges] = useState<Ranges>({});
  const kept = useMemo(() => points.filter((point) => inside(point, ranges)), [points, ranges]);
  const columns = useMemo(() => [...targets, ...metrics], [targets, metrics]);

  return (
    <>
      <section className="panel study-view" id="result" tabIndex={-1} aria-labelledby="sweep-title" data-testid="sweep">
        <div className="panel-head">
          <h2 id="sweep-title">Response</h2>
          <Rerun />
        </div>
        <div className="panel-body stack">
          {problem && <p className="callout bad">Some points could not be read: {problem}</p>}
          <div className="choices">
            {metrics.length > 0 && <Choice label="Metric" value={metric} options={metrics} onChange={setMetric} />}
            {targets.length > 2 && <Choice label="Across" value={x} options={targets} onChange={setX} />}
            {targets.length > 2 && <Choice label="Upwards" value={y} options={targets} onChange={setY} />}
          </div>
          {metrics.length === 0 && <p className="panel-note">This graph has no scalar output to show; the hashes of its points are in the API.</p>}
          {points.length === 0 ? (
            <div className="empty">
              <h3>{isFinal(run.state) ? "No points" : "No points yet"}</h3>
              <p>{isFinal(run.state) ? "The sweep ended before a point was done." : "Each point stands here as soon as it is done."}</p>
            </div>
          ) : metrics.length === 0 ? null : targets.length === 1 ? (
            <Response points={kept} target={targets[0]!} metric={metric} log={log} />
          ) : x === y ? (
            <p className="panel-note">Choose two different axes.</p>
          ) : (
            <HeatMap points={kept} x={x} y={y} metric={metric} grid={design.sampling === "grid"} log={log} />
          )}
        </div>
      </section>
      {points.length > 0 && (
        <section className="panel study-view" aria-labelledby="parallel-title">
          <div className="panel-head">
            <h2 id="parallel-title">Parallel coordinates</h2>
            {kept.length < points.length && (
              <span className="panel-note num">
                {whole(kept.length)} of {whole(points.length)} points
              </span>
            )}
          </div>
          <div className="panel-body">
            <ParallelCoordinates points={points} columns={columns} metric={metric} log={log} ranges={ranges} onRanges={setRanges} />
          </div>
        </section>
      )}
      {points.length > 0 && (
        <section className="panel study-view" aria-labelledby="points-title">
          <div className="panel-head">
            <h2 id="points-title">Points</h2>
          </div>
          <PointTable points={kept} params={targets} metrics={metrics} name="point" />
        </section>
      )}
    </>
  );
}

function Response({ points, target, metric, log }: { points: ReturnType<typeof usePoints>["points"]; target: string; metric: string; log: ReadonlySet<string> }) {
  const rows = useMemo(
    () =>
      points
        .map((point) => ({ x: Number(valueOn(point, target)), y: valueOn(point, metric) }))
        .filter(({ x }) => Number.isFinite(x))
        .sort((a, b) => a.x - b.x),
    [points, target, metric],
  );
  const xs = useMemo(() => rows.map(({ x }) => x), [rows]);
  const ys = useMemo(() => rows.map(({ y }) => (typeof y === "number" ? y : null)), [rows]);
  if (rows.length === 0) return <p className="panel-note">The values of {target} are no numbers; the table shows them.</p>;
  return <Curve x={xs} y={ys} xName={target} yName={metric} logX={log.has(target)} line />;
}

function Choice({ label, value, options, onChange }: { label: string; value: string; options: readonly string[]; onChange: (value: string) => void }) {
  return (
    <label className="choice">
      <span>{label}</span>
      <select className="input small-input" value={value} onChange={(event) => onChange(event.target.value)}>
        {options.map((one) => (
          <option key={one}>{one}</option>
        ))}
      </select>
    </label>
  );
}

/** Starts a sweep of the points that have no result, and goes to it. */
function Rerun() {
  const { store } = useLive();
  const { run } = useSnapshot();
  const [busy, setBusy] = useState(false);
  const open = (run.points_total ?? 0) - (run.points_done ?? 0);
  if (!isFinal(run.state) || open === 0) return null;
  const start = async () => {
    setBusy(true);
    try {
      const made = await store.post<{ id: string }>(run.urls.rerun);
      location.assign(location.pathname.replace(run.id, made.id));
    } catch (problem) {
      toast(problem instanceof Error ? problem.message : String(problem), "error");
      setBusy(false);
    }
  };
  const what = run.points_failed === open ? "failed" : "missing";
  return (
    <button type="button" className="button small" disabled={busy} onClick={() => void start()}>
      Re-run {whole(open)} {what} point{open === 1 ? "" : "s"}
    </button>
  );
}
