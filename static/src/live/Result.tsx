import { useMemo, useState } from "react";
import type { Run } from "../api/run";
import { useFrames, useLive, useSnapshot, useVisible } from "./context";
import { GateTable } from "./GateTable";
import { findGateTable, gateTotals } from "./gateTable";

/** What came out: the verified gates, or why there is nothing to show. */
export function ResultPanel() {
  const { run, result, resultProblem } = useSnapshot();
  const found = useMemo(() => (result ? findGateTable(result.tables) : null), [result]);
  const totals = useMemo(() => (result ? gateTotals(result.tables) : null), [result]);
  return (
    <section className="panel" id="result" tabIndex={-1} aria-labelledby="result-title" data-testid="result">
      <div className="panel-head">
        <h2 id="result-title">Result</h2>
        {run.state === "succeeded" && (
          <a className="button small" href={run.urls.result} download={`run-${run.id}.json`}>
            Download JSON
          </a>
        )}
      </div>
      <div className="panel-body">
        {result && found && <GateTable table={found.table} name={found.name} totals={totals} />}
        {result && !found && (
          <p className="panel-note">This graph has no table of gates. The download holds every output.</p>
        )}
        {!result && <ResultAbsent run={run} problem={resultProblem} />}
      </div>
    </section>
  );
}

function ResultAbsent({ run, problem }: { run: Run; problem: string | null }) {
  if (problem) return <p className="callout bad">The result could not be read: {problem}</p>;
  const [title, text] = {
    queued: ["No result yet", "The run waits for a worker. The result stands here when it is over."],
    running: [
      "No result yet",
      "Training trials choose cells and thresholds; fresh trials then verify them. The table of verified gates stands here when the run is over.",
    ],
    succeeded: ["Reading the result", "It is on its way from the server."],
    failed: ["No result", "The run failed before its end. What stopped it is said above."],
    cancelled: ["No result", "The run was cancelled before its end. Start it again from its graph."],
  }[run.state];
  return (
    <div className="empty">
      <h3>{title}</h3>
      <p>{text}</p>
      {run.state === "running" && <SearchStage />}
    </div>
  );
}

/** What the gate search is doing at this moment, in its own words. */
function SearchStage() {
  const { spec } = useLive();
  const [box, visible] = useVisible<HTMLParagraphElement>();
  const [stage, setStage] = useState<string | null>(null);
  const search = spec.nodes.find((node) => node.kind === "an.gates");
  useFrames(
    search ? { node: search.id, port: "phase", rate: 4, decimation: 1, take: null } : null,
    visible,
    (frame) => {
      if (frame.kind === "frame" && frame.codec === "json") setStage(String(frame.data.at(-1)));
    },
  );
  return (
    <p className="chip running" ref={box}>
      {stage ?? "waiting for the search"}
    </p>
  );
}
