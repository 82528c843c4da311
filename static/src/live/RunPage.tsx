import { useCallback, useMemo, useRef, useState } from "react";
import { isFinal } from "../api/run";
import { GraphCanvas, type NodeActivity, type Positions } from "../graph/GraphCanvas";
import { whole } from "../shared/format";
import { ControlPanel } from "./ControlPanel";
import { EventLog } from "./EventLog";
import { Hud } from "./Hud";
import { ManifestPanel, VerdictNotice } from "./Provenance";
import { ResultPanel } from "./Result";
import { ShortcutDialog, useShortcuts } from "./Shortcuts";
import { Sparkline } from "./Sparkline";
import { CancelDialog, StateChip, Transport, useTransport } from "./Transport";
import { useLive, useSnapshot } from "./context";
import { FilesPanel } from "../files/FilesPanel";
import { GateMapView } from "./views/GateMapView";
import { PhaseView } from "./views/PhaseView";
import { FitPanel } from "../series/FitPanel";
import { SweepPanel } from "../series/SweepPanel";
import { SeriesView } from "./views/SeriesView";
import { type Source, views } from "./wiring";

/** A run, live: graph, views, controls, events, result. */
export function RunPage({ positions }: { positions: Positions }) {
  const { spec, seed } = useLive();
  const { run } = useSnapshot();
  const transport = useTransport();
  const shortcuts = useRef<HTMLDialogElement>(null);
  const showShortcuts = useCallback(() => shortcuts.current?.showModal(), []);
  const { playPause, askCancel } = transport;
  useShortcuts({ playPause, cancel: askCancel, panel: showShortcuts });

  const phases = useMemo(() => views(spec, "viz.phase3d"), [spec]);
  const grids = useMemo(() => views(spec, "viz.grid"), [spec]);
  const series = useMemo(() => views(spec, "viz.timeseries"), [spec]);
  // Whoever comes after the end finds the result first; whoever watched keeps the pictures where they were.
  const [past] = useState(() => isFinal(run.state));
  // Many runs at once have no frames to look at, and nothing to turn.
  const single = run.kind === "single";

  return (
    <div className={past ? "run-page past" : "run-page"} data-run={run.id} data-run-state={run.state}>
      <div className="page-head run-head">
        <div>
          <h1>{run.graph.name}</h1>
          <p className="panel-note num">
            {!single && (run.kind === "sweep" ? "Sweep · " : "Fit · ")}
            seed {seed} · {whole(run.ticks)} ticks{!single && " each"} · graph version {run.graph.version}
            {run.origin && (
              <>
                {" · repeats "}
                <a href={location.pathname.replace(run.id, run.origin)}>another run</a>
              </>
            )}
          </p>
        </div>
        <div className="row">
          <StateChip />
          <Hud />
        </div>
      </div>
      <Notices />
      <VerdictNotice />
      <Transport onPlayPause={playPause} onCancel={askCancel} onShortcuts={showShortcuts} busy={transport.busy} />
      <div className="run-grid">
        <div className="run-main">
          {run.kind === "sweep" && <SweepPanel />}
          {run.kind === "fit" && <FitPanel />}
          <div className="views" id="views" tabIndex={-1} hidden={!single}>
            {single && !past && phases.map((view) => <PhaseView key={view.node.id} view={view} />)}
            {single && grids.map((view) => (
              <GateMapView key={view.node.id} view={view} />
            ))}
            {single && !past && series.map((view) => <SeriesView key={view.node.id} view={view} />)}
          </div>
          {single && <ResultPanel />}
          <FilesPanel />
          <GraphPanel positions={positions} />
        </div>
        <aside className="run-side">
          {single && <ControlPanel />}
          <div id="events" tabIndex={-1}>
            <EventLog />
          </div>
          <ManifestPanel />
        </aside>
      </div>
      <CancelDialog
        dialog={transport.dialog}
        onConfirm={transport.cancel}
        points={run.kind === "single" ? "" : run.kind === "sweep" ? " and finished points" : " and finished iterations"}
      />
      <ShortcutDialog dialog={shortcuts} />
    </div>
  );
}

function Notices() {
  const { store } = useLive();
  const { run, live, reason, link, refusal } = useSnapshot();
  return (
    <>
      {run.error && (
        <div className="callout bad error-panel" role="alert" data-testid="error-panel">
          <p>
            <strong>
              {run.error.node ? `Node ${run.error.node} stopped the run` : "The run failed"}
              {run.error.tick === null || run.error.tick === undefined ? "" : ` at tick ${whole(run.error.tick)}`}
            </strong>{" "}
            <code>{run.error.code}</code>
          </p>
          <p>{run.error.message}</p>
          <p>{run.error.mend}</p>
        </div>
      )}
      {!live && !isFinal(run.state) && (
        <div className="callout warn" role="status" data-testid="degraded">
          <p>
            <strong>Live view unavailable, the run goes on.</strong> Progress, events and the result still arrive
            {reason ? ` (${reason})` : ""}.
          </p>
        </div>
      )}
      {link === "refused" && (
        <div className="callout bad" role="alert">
          <p>
            <strong>You are signed out</strong>, or may not see this run any more. <a href={location.href}>Sign in again</a>.
          </p>
        </div>
      )}
      {refusal && (
        <div className="callout warn row" role="status">
          <p>{refusal}</p>
          <button type="button" className="link-button" onClick={() => store.dismissRefusal()}>
            Dismiss
          </button>
        </div>
      )}
    </>
  );
}

function GraphPanel({ positions }: { positions: Positions }) {
  const { spec, declarations } = useLive();
  const { run } = useSnapshot();
  const { state, paused } = run;
  const failedNode = run.error?.node ?? null;

  const activity = useCallback(
    (id: string): NodeActivity => {
      if (id === failedNode) return "failed";
      if (state === "running") return paused ? "paused" : "running";
      return state === "succeeded" ? "done" : "idle";
    },
    [state, paused, failedNode],
  );

  const shown = useMemo(() => {
    const found = new Map<string, Source>();
    for (const node of spec.nodes) {
      const outputs = declarations[node.kind]?.outputs ?? [];
      const port = outputs.find((one) => one.kind === "scalar") ?? outputs.find((one) => one.kind === "vector");
      if (port) found.set(node.id, { node: node.id, port: port.name });
    }
    return found;
  }, [spec, declarations]);

  const moving = state === "running";
  const extra = useCallback(
    (id: string) => {
      const source = shown.get(id);
      return source && moving ? <Sparkline source={source} /> : null;
    },
    [shown, moving],
  );

  return (
    <section className="panel" id="graph" tabIndex={-1} aria-labelledby="graph-title">
      <div className="panel-head">
        <h2 id="graph-title">Graph</h2>
        <span className="panel-note">
          {spec.nodes.length} nodes, {spec.edges?.length ?? 0} edges
        </span>
      </div>
      <div className="graph-root" data-view="graph">
        <GraphCanvas
          spec={spec}
          declarations={declarations}
          positions={positions}
          activity={activity}
          extra={extra}
          label={`Graph ${run.graph.name}`}
        />
      </div>
    </section>
  );
}
