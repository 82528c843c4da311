// What a run was made of, whether it can be made again, and what came of that.
import { useEffect, useRef, useState } from "react";
import { type Run, isFinal } from "../api/run";
import type { components } from "../api/schema";
import { whole } from "../shared/format";
import { toast } from "../site/toasts";
import { useLive, useSnapshot } from "./context";

type Manifest = components["schemas"]["Manifest"];
type Prospect = components["schemas"]["Prospect"];
type Verdict = components["schemas"]["ReproductionVerdict"];
type Change = components["schemas"]["Circumstance"];

/** What the API says at an address now; asked again when `when` changes. */
function useAnswer<T>(url: string | null, when: unknown): { answer: T | null; problem: string | null } {
  const { store } = useLive();
  const [answer, setAnswer] = useState<T | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  useEffect(() => {
    if (url === null) return;
    let current = true;
    store.get<T>(url).then(
      (found) => {
        if (!current) return;
        setAnswer(found);
        setProblem(null);
      },
      (error: unknown) => current && setProblem(error instanceof Error ? error.message : String(error)),
    );
    return () => {
      current = false;
    };
  }, [store, url, when]);
  return { answer, problem };
}

/** Everything needed to compute the run again, and the button that does. */
export function ManifestPanel() {
  const { seed } = useLive();
  const { run } = useSnapshot();
  const { answer: manifest, problem } = useAnswer<Manifest>(run.urls.manifest, `${run.state} ${run.result_hash}`);
  return (
    <section className="panel" aria-labelledby="manifest-title">
      <div className="panel-head">
        <h2 id="manifest-title">Manifest</h2>
        <a className="button small" href={run.urls.manifest} download={`manifest-${run.id}.json`}>
          Manifest as JSON
        </a>
      </div>
      <div className="panel-body">
        <dl className="facts tight manifest">
          <Copied label="Run" value={run.id} />
          <Copied label="Seed" value={seed} />
          <dt>Ticks</dt>
          <dd className="num">{whole(run.ticks)}</dd>
          <Copied label="Graph hash" value={run.graph.content_hash} />
          {run.result_hash ? (
            <Copied label="Result hash" value={run.result_hash} />
          ) : (
            <>
              <dt>Result hash</dt>
              <dd>{isFinal(run.state) ? "none" : "none yet"}</dd>
            </>
          )}
          {manifest?.tier && <ManifestFacts manifest={manifest} />}
        </dl>
        {problem && <p className="callout bad">The manifest could not be read: {problem}</p>}
        {run.state === "succeeded" && <Reproduce run={run} />}
      </div>
    </section>
  );
}

/** What came of a run that reproduces another. */
export function VerdictNotice() {
  const { reproduces } = useLive();
  const { run } = useSnapshot();
  const { answer } = useAnswer<Verdict>(reproduces ? run.urls.verdict : null, run.state);
  if (!answer) return null;
  const tone = answer.verdict === "equal" ? "good" : answer.verdict === "different" ? "warn" : "";
  const title = { equal: "Equal", different: "Different", waiting: "Reproduces another run" }[answer.verdict];
  return (
    <div className={`callout ${tone}`} role="status" data-testid="verdict" data-verdict={answer.verdict}>
      <p>
        {answer.verdict !== "equal" && <strong>{title}. </strong>}
        {answer.message}{" "}
        {answer.of && <a href={location.pathname.replace(run.id, answer.of)}>The run that it reproduces</a>}
      </p>
      {answer.first?.places && answer.first.places.length > 1 && (
        <p>
          Then also: <span className="mono">{answer.first.places.slice(1, 9).join(", ")}</span>
          {answer.first.places.length > 9 && ` and ${answer.first.places.length - 9} more`}
        </p>
      )}
      <Changes changed={answer.changed} />
    </div>
  );
}

function Changes({ changed }: { changed: readonly Change[] }) {
  if (changed.length === 0) return null;
  return (
    <ul data-testid="changed">
      {changed.map((one) => (
        <li key={one.what}>
          <span className="mono">{one.what}</span>: {said(one.then)} then, {said(one.now)} now
        </li>
      ))}
    </ul>
  );
}

function said(value: unknown): string {
  if (value === null || value === undefined) return "none";
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** Looks whether the run can be reproduced, warns of what is not as it was, and starts it. */
function Reproduce({ run }: { run: Run }) {
  const { store } = useLive();
  const dialog = useRef<HTMLDialogElement>(null);
  const [prospect, setProspect] = useState<Prospect | null>(null);
  const [busy, setBusy] = useState(false);

  const attempt = async (what: () => Promise<void>) => {
    setBusy(true);
    try {
      await what();
    } catch (problem) {
      toast(problem instanceof Error ? problem.message : String(problem), "error");
    } finally {
      setBusy(false);
    }
  };
  const look = () =>
    attempt(async () => {
      setProspect(await store.get<Prospect>(run.urls.reproducibility));
      dialog.current?.showModal();
    });
  const start = () =>
    attempt(async () => {
      const made = await store.post<Run>(run.urls.reproduce, {});
      location.assign(location.pathname.replace(run.id, made.id));
    });

  return (
    <>
      <div className="form-actions">
        <button type="button" className="button" disabled={busy} onClick={() => void look()}>
          Reproduce…
        </button>
      </div>
      <dialog ref={dialog} className="dialog" aria-labelledby="reproduce-title">
        <h2 id="reproduce-title">Reproduce this run?</h2>
        {prospect?.possible ? (
          <p>
            It is computed again with the same graph version, seed, length, tier and control log, and then says whether it
            is equal, or where it first differs.
          </p>
        ) : (
          <>
            <p>It cannot be reproduced:</p>
            <ul>
              {prospect?.faults.map((fault) => (
                <li key={fault.place}>
                  {fault.message} {fault.mend}
                </li>
              ))}
            </ul>
          </>
        )}
        {prospect?.note && <p role="note">{prospect.note}</p>}
        {prospect && prospect.changed.length > 0 && (
          <div className="callout warn" role="note">
            <p>
              <strong>Not all is as it was.</strong> It may come out differently without anything being at fault:
            </p>
            <Changes changed={prospect.changed} />
          </div>
        )}
        <div className="form-actions">
          {prospect?.possible && (
            <button type="button" className="button primary" disabled={busy} onClick={() => void start()}>
              Reproduce
            </button>
          )}
          <button type="button" className="button" onClick={() => dialog.current?.close()}>
            Close
          </button>
        </div>
      </dialog>
    </>
  );
}

function ManifestFacts({ manifest }: { manifest: Manifest }) {
  const weights = Object.entries(manifest.weights ?? {});
  return (
    <>
      <dt>Tier</dt>
      <dd title={manifest.tier_reason ?? ""}>{manifest.tier}</dd>
      <dt>Device</dt>
      <dd>{manifest.device}</dd>
      <dt>Versions</dt>
      <dd className="mono">
        {Object.entries(manifest.versions ?? {})
          .map(([name, version]) => `${name} ${version}`)
          .join(", ")}
      </dd>
      {weights.length > 0 && (
        <>
          <dt>Weights</dt>
          {weights.map(([node, facts]) => (
            <dd key={node}>
              <strong>{node}</strong>
              {Object.entries(facts).map(([name, value]) => (
                <span className="weight-fact" key={name} title={String(value)}>
                  {name} <span className="mono">{String(value)}</span>
                </span>
              ))}
            </dd>
          ))}
        </>
      )}
      <dt>Control log</dt>
      <dd className="num">
        {manifest.control_log.length === 0
          ? "no change"
          : manifest.control_log.map((one) => `${one.target} ${String(one.value)} at tick ${one.tick}`).join("; ")}
      </dd>
    </>
  );
}

function Copied({ label, value }: { label: string; value: string }) {
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(value);
      toast(`${label} copied`, "success");
    } catch {
      toast("The browser did not allow copying. Select the text and copy it by hand.", "error");
    }
  };
  return (
    <>
      <dt>{label}</dt>
      <dd className="copied">
        <code>{value}</code>
        <button type="button" className="link-button" onClick={() => void copy()} aria-label={`Copy ${label}`}>
          Copy
        </button>
      </dd>
    </>
  );
}
