import { useMemo, useRef, useState } from "react";
import { ApiProblem } from "../api/problem";
import { isFinal } from "../api/run";
import { useLive, usePoints, useSnapshot } from "../live/context";
import { parameter, split } from "../live/wiring";
import { measured, whole } from "../shared/format";
import { toast } from "../site/toasts";
import { Curve } from "./Curve";
import { PointTable } from "./PointTable";
import { type FitDesign } from "./design";

const LOSS = "loss";

/** A fit: its loss over the iterations, and the values it has found so far. */
export function FitPanel() {
  const { spec, declarations } = useLive();
  const { run } = useSnapshot();
  const { points, problem } = usePoints();
  const design = run.design as unknown as FitDesign;
  const targets = useMemo(() => design.params.map((one) => one.target), [design]);
  const losses = useMemo(() => points.map((point) => point.metrics?.[LOSS] ?? null), [points]);
  const iterations = useMemo(() => points.map((point) => point.index), [points]);
  const best = useMemo(
    () => points.reduce<(typeof points)[number] | null>((held, point) => {
      const [now, then] = [point.metrics?.[LOSS], held?.metrics?.[LOSS]];
      return typeof now === "number" && (typeof then !== "number" || now < then) ? point : held;
    }, null),
    [points],
  );
  // A loss of exactly 0 has no place on a logarithmic axis.
  const log = losses.every((loss) => loss === null || loss > 0);

  return (
    <>
      <section className="panel study-view" id="result" tabIndex={-1} aria-labelledby="fit-title" data-testid="fit">
        <div className="panel-head">
          <h2 id="fit-title">Loss</h2>
          <span className="panel-note">
            mean of ({design.loss.port} − target)²{design.loss.start > 0 && ` from tick ${whole(design.loss.start)}`}
          </span>
        </div>
        <div className="panel-body">
          {problem && <p className="callout bad">Some iterations could not be read: {problem}</p>}
          {points.length === 0 ? (
            <div className="empty">
              <h3>No iteration yet</h3>
              <p>The loss stands here after each evaluation.</p>
            </div>
          ) : (
            <Curve x={iterations} y={losses} xName="iteration" yName="loss" logY={log} line />
          )}
        </div>
      </section>
      {best && (
        <section className="panel study-view" aria-labelledby="values-title">
          <div className="panel-head">
            <h2 id="values-title">{run.state === "succeeded" ? "Fitted values" : "Best values so far"}</h2>
            <Apply />
          </div>
          <div className="table-scroll" tabIndex={0} role="region" aria-label="Table of values">
            <table className="table num" data-testid="fitted">
              <thead>
                <tr>
                  <th scope="col">Parameter</th>
                  <th scope="col">In the graph</th>
                  <th scope="col">Fitted</th>
                  <th scope="col">Bounds</th>
                </tr>
              </thead>
              <tbody>
                {design.params.map(({ target, min, max }) => {
                  const { node: id, port } = split(target);
                  const node = spec.nodes.find((one) => one.id === id);
                  const base = node && parameter(node, declarations, port);
                  return (
                    <tr key={target}>
                      <th scope="row" className="mono">
                        {target}
                      </th>
                      <td>{typeof base === "number" ? measured(base) : "–"}</td>
                      <td>{Number(Number(best.params[target]).toPrecision(7))}</td>
                      <td>{min === undefined || max === undefined ? "its range" : `${measured(min)} to ${measured(max)}`}</td>
                    </tr>
                  );
                })}
              </tbody>
            </table>
          </div>
          <p className="panel-body panel-note num">
            Smallest loss {measured(best.metrics?.[LOSS] ?? Number.NaN)} at iteration {whole(best.index)}.
          </p>
        </section>
      )}
      {points.length > 0 && (
        <section className="panel study-view" aria-labelledby="iterations-title">
          <div className="panel-head">
            <h2 id="iterations-title">Iterations</h2>
          </div>
          <PointTable points={points} params={targets} metrics={[LOSS]} name="iteration" />
        </section>
      )}
    </>
  );
}

interface Applied {
  version: number;
}

function Apply() {
  const { store } = useLive();
  const { run } = useSnapshot();
  const [busy, setBusy] = useState(false);
  const [applied, setApplied] = useState<number | null>(null);
  const [changed, setChanged] = useState("");
  const dialog = useRef<HTMLDialogElement>(null);
  if (!isFinal(run.state) || run.state !== "succeeded") return null;
  const apply = async (ontoNewest: boolean) => {
    dialog.current?.close();
    setBusy(true);
    try {
      const { version } = await store.post<Applied>(run.urls.apply, { onto_newest: ontoNewest });
      setApplied(version);
      toast(`The values are in version ${version} of the graph`, "success");
    } catch (problem) {
      if (problem instanceof ApiProblem && problem.status === 409 && !ontoNewest) {
        setChanged(problem.message);
        dialog.current?.showModal();
      } else toast(problem instanceof Error ? problem.message : String(problem), "error");
    } finally {
      setBusy(false);
    }
  };
  return (
    <>
      {applied === null ? (
        <button type="button" className="button small primary" disabled={busy} onClick={() => void apply(false)}>
          Apply to graph
        </button>
      ) : (
        <span className="chip succeeded">In version {applied}</span>
      )}
      <dialog ref={dialog} className="dialog" aria-labelledby="apply-title">
        <h2 id="apply-title">The graph has changed since</h2>
        <p>{changed}</p>
        <div className="form-actions">
          <button type="button" className="button primary" onClick={() => void apply(true)}>
            Apply onto the newest version
          </button>
          <button type="button" className="button" onClick={() => dialog.current?.close()}>
            Leave it
          </button>
        </div>
      </dialog>
    </>
  );
}
