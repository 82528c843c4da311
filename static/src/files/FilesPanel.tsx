import { useCallback, useEffect, useId, useMemo, useRef, useState } from "react";
import { ApiProblem } from "../api/problem";
import { isFinal } from "../api/run";
import { useLive, useSnapshot } from "../live/context";
import { percent } from "../shared/format";
import { toast } from "../site/toasts";
import { type Artifact, type Export, type Files, type Format, type Recording, FORMAT_NAMES, askAgain, isActive, readFiles, recorded, size } from "./files";

/** What a run recorded, the files made of it, and the way to make more. */
export function FilesPanel() {
  const { store } = useLive();
  const { run } = useSnapshot();
  const [files, setFiles] = useState<Files | null>(null);
  const [problem, setProblem] = useState("");
  const asked = useRef(0);
  const over = isFinal(run.state);
  const { artifacts, exports, formats, recording } = run.urls;

  const read = useCallback(async () => {
    try {
      const urls = { artifacts: artifacts!, exports: exports!, formats: formats!, recording: recording! };
      setFiles(await readFiles((url) => store.get(url), urls));
      setProblem("");
    } catch (refused) {
      setProblem(refused instanceof Error ? refused.message : String(refused));
    }
  }, [store, artifacts, exports, formats, recording]);

  useEffect(() => {
    asked.current = 0;
    if (over) void read();
  }, [over, read]);

  useEffect(() => {
    const again = askAgain(files, over, asked.current++);
    if (files === null || again === null || problem) return;
    const timer = setTimeout(() => void read(), again);
    return () => clearTimeout(timer);
  }, [files, over, problem, read]);

  const state = files?.recording.state;
  const waiting = files === null || state === "pending" || state === "waiting";
  const others = files?.exports.filter((one) => one.state !== "succeeded") ?? [];
  return (
    <section className="panel" id="files" tabIndex={-1} aria-labelledby="files-title" data-testid="files">
      <div className="panel-head">
        <h2 id="files-title">Files</h2>
        {run.kind === "single" && <span className="panel-note">{recorded(run)}</span>}
      </div>
      <div className="panel-body files">
        {problem && (
          <div className="callout bad row" role="alert">
            <p>The files could not be read: {problem}</p>
            <button type="button" className="link-button" onClick={() => void read()}>
              Try again
            </button>
          </div>
        )}
        {!over && (
          <div className="empty">
            <h3>No files yet</h3>
            <p>{run.kind === "single" ? "What the run records" : "The table of points"} can be exported when the run is over.</p>
          </div>
        )}
        {over && !problem && waiting && (
          <p role="status">{files?.recording.message || "What the run recorded is being put together…"}</p>
        )}
        {over && files && (state === "failed" || state === "lost") && <LostRecording recording={files.recording} onChange={read} />}
        {over && files && !waiting && state !== "failed" && state !== "lost" && files.artifacts.length + files.exports.length === 0 && (
          <div className="empty">
            <h3>No files</h3>
            <p>
              {files.formats.length > 0
                ? "Export what came out of it in a format of your choice."
                : "This run left nothing to export. Give a run ports to record when you submit it."}
            </p>
          </div>
        )}
        {files && files.artifacts.length > 0 && (
          <ul className="list" aria-label="Files of this run">
            {files.artifacts.map((one) => (
              <FileRow key={one.id} file={one} onChange={read} />
            ))}
          </ul>
        )}
        {others.length > 0 && (
          <ul className="list" aria-label="Exports under way or without a file">
            {others.map((one) => (
              <ExportRow key={one.id} one={one} onChange={read} />
            ))}
          </ul>
        )}
        {over && files && files.formats.length > 0 && <ExportForm formats={files.formats} url={exports!} onChange={read} />}
      </div>
    </section>
  );
}

interface Changing {
  onChange: () => Promise<void>;
}

/** Why there is no recording of a run that recorded. */
function LostRecording({ recording, onChange }: { recording: Recording } & Changing) {
  const { store } = useLive();
  const { run } = useSnapshot();
  const again = async () => {
    try {
      await store.post(`${run.urls.recording!}retry/`);
    } catch (refused) {
      toast(refused instanceof Error ? refused.message : String(refused), "error");
    }
    await onChange();
  };
  return (
    <div className="callout bad" role="alert" data-testid="recording-lost">
      <p>
        <strong>The run has no recording.</strong> {recording.message} {recording.mend}
      </p>
      {recording.kept_until && (
        <p>
          What it is put together from is kept until {new Date(recording.kept_until).toLocaleString()}.{" "}
          <button type="button" className="link-button" onClick={() => void again()}>
            Try again
          </button>
        </p>
      )}
    </div>
  );
}

function FileRow({ file, onChange }: { file: Artifact } & Changing) {
  const { store } = useLive();
  const dialog = useRef<HTMLDialogElement>(null);
  const title = useId();
  const remove = async () => {
    dialog.current?.close();
    try {
      await store.delete(file.url.replace(/content\/$/, ""));
      toast(`${file.name} is deleted`, "success");
    } catch (refused) {
      toast(refused instanceof Error ? refused.message : String(refused), "error");
    }
    await onChange();
  };
  return (
    <li>
      <span className="list-title">{file.name}</span>
      <span className="chip plain">{file.kind}</span>
      <span className="meta num">{size(file.size)}</span>
      <span className="file-actions">
        <a className="button small" href={file.url} download={file.name} aria-label={`Download ${file.name}`}>
          Download
        </a>
        <button type="button" className="button quiet small" onClick={() => dialog.current?.showModal()} aria-label={`Delete ${file.name}`}>
          Delete
        </button>
      </span>
      <dialog ref={dialog} className="dialog" aria-labelledby={title}>
        <h2 id={title}>Delete {file.name}?</h2>
        <p>Nobody in the workspace can download it any more. {file.kind === "recording" && "Nothing can be exported of this run then."}</p>
        <div className="form-actions">
          <button type="button" className="button" onClick={() => dialog.current?.close()}>
            Keep it
          </button>
          <button type="button" className="button danger" onClick={() => void remove()}>
            Delete
          </button>
        </div>
      </dialog>
    </li>
  );
}

function ExportRow({ one, onChange }: { one: Export } & Changing) {
  const { store } = useLive();
  const { run } = useSnapshot();
  const name = FORMAT_NAMES[one.format];
  const cancel = async () => {
    try {
      await store.post(run.urls.exports!.replace(/runs\/[^/]+\/exports\/$/, `exports/${one.id}/cancel/`));
    } catch (refused) {
      toast(refused instanceof Error ? refused.message : String(refused), "error");
    }
    await onChange();
  };
  return (
    <li data-export-state={one.state}>
      <span className="list-title">{name}</span>
      {isActive(one) ? (
        <>
          <progress className="export-progress" value={one.progress} max={1} aria-label={`Export as ${name}`} />
          <span className="meta num">
            {one.waiting ? one.waiting.message : one.state === "queued" ? "waits for a writer" : percent(one.progress)}
          </span>
          <button type="button" className="button quiet small" onClick={() => void cancel()} aria-label={`Cancel the export as ${name}`}>
            Cancel
          </button>
        </>
      ) : (
        <>
          <span className={`chip ${one.state}`}>{one.state}</span>
          {one.error && (
            <span className="meta">
              {one.error.message} {one.error.mend}
            </span>
          )}
        </>
      )}
    </li>
  );
}

function ExportForm({ formats, url, onChange }: { formats: Format[]; url: string } & Changing) {
  const { store } = useLive();
  const [name, setName] = useState<Format["format"]>(formats[0]!.format);
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Error | null>(null);
  const id = useId();
  const format = useMemo(() => formats.find((one) => one.format === name) ?? formats[0]!, [formats, name]);
  const ports = format.ports.filter((port) => chosen.has(port));
  const wanted = format.one ? (ports.slice(0, 1).length ? ports.slice(0, 1) : format.ports.slice(0, 1)) : ports;
  const send = async () => {
    setBusy(true);
    setProblem(null);
    try {
      const made = await store.post<Export>(url, { format: format.format, ...(wanted.length > 0 && { ports: wanted }) });
      if (made.state === "succeeded") toast(`${made.artifact?.name ?? "The export"} is ready`, "success");
    } catch (refused) {
      setProblem(refused instanceof Error ? refused : new Error(String(refused)));
    } finally {
      setBusy(false);
    }
    await onChange();
  };
  const placed = problem instanceof ApiProblem ? problem.problems : [];
  return (
    <form
      className="export-form"
      aria-label="Export"
      onSubmit={(event) => {
        event.preventDefault();
        void send();
      }}
    >
      <div className="field">
        <label htmlFor={`${id}-format`}>Export as</label>
        <select id={`${id}-format`} value={format.format} onChange={(event) => setName(event.target.value as Format["format"])}>
          {formats.map((one) => (
            <option key={one.format} value={one.format}>
              {FORMAT_NAMES[one.format]}
            </option>
          ))}
        </select>
      </div>
      {format.one ? (
        <div className="field">
          <label htmlFor={`${id}-port`}>Port</label>
          <select id={`${id}-port`} value={wanted[0]} onChange={(event) => setChosen(new Set([event.target.value]))}>
            {format.ports.map((port) => (
              <option key={port}>{port}</option>
            ))}
          </select>
        </div>
      ) : (
        format.ports.length > 1 && (
          <details className="export-ports">
            <summary>{ports.length === 0 ? `All ${format.ports.length} ports` : `${ports.length} of ${format.ports.length} ports`}</summary>
            <fieldset>
              <legend className="visually-hidden">Ports; none chosen means all</legend>
              {format.ports.map((port) => (
                <label key={port}>
                  <input
                    type="checkbox"
                    checked={chosen.has(port)}
                    onChange={(event) => {
                      const next = new Set(chosen);
                      if (event.target.checked) next.add(port);
                      else next.delete(port);
                      setChosen(next);
                    }}
                  />{" "}
                  <code>{port}</code>
                </label>
              ))}
            </fieldset>
          </details>
        )
      )}
      {problem && (
        <div className="callout bad" role="alert">
          {placed.length === 0 && <p>{problem.message}</p>}
          {placed.length > 0 && (
            <ul>
              {placed.map((one) => (
                <li key={`${one.place} ${one.message}`}>
                  {one.message} {one.mend}
                </li>
              ))}
            </ul>
          )}
        </div>
      )}
      <div className="form-actions">
        <button className="button primary" type="submit" disabled={busy}>
          {busy ? "Exporting…" : "Export"}
        </button>
      </div>
    </form>
  );
}
