import { useRef, useState } from "react";
import { type Run, isFinal } from "../api/run";
import { duration, whole } from "../shared/format";
import { toast } from "../site/toasts";
import { useLive, useSnapshot } from "./context";

const STATE_WORDS = {
  queued: "Queued",
  running: "Running",
  succeeded: "Succeeded",
  failed: "Failed",
  cancelled: "Cancelled",
} as const;

export function StateChip() {
  const { run } = useSnapshot();
  const paused = run.paused && run.state === "running";
  return (
    <span className={`chip ${paused ? "paused" : run.state}`} data-state={run.state} role="status">
      {paused ? "Paused" : STATE_WORDS[run.state]}
    </span>
  );
}

interface TransportProps {
  onPlayPause: () => void;
  onCancel: () => void;
  onShortcuts: () => void;
  busy: boolean;
}

/** Play, pause, cancel, and how far the run is. */
export function Transport({ onPlayPause, onCancel, onShortcuts, busy }: TransportProps) {
  const { run, mayControl } = useSnapshot();
  const running = run.state === "running";
  return (
    <div className="transport panel">
      <div className="row">
        <button type="button" className="button" disabled={!running || busy || !mayControl} onClick={onPlayPause} aria-keyshortcuts="Space">
          {run.paused ? <PlayIcon /> : <PauseIcon />}
          {run.paused ? "Play" : "Pause"}
        </button>
        <button type="button" className="button danger" disabled={isFinal(run.state) || busy || !mayControl} onClick={onCancel}>
          Cancel the run
        </button>
        <button type="button" className="button quiet" onClick={onShortcuts} aria-keyshortcuts="?">
          Shortcuts <kbd aria-hidden="true">?</kbd>
        </button>
      </div>
      <div className="progress-block">
        <progress
          max={1}
          value={run.progress}
          className={run.state}
          aria-label="Progress of the run"
        />
        <p className="num progress-words">
          <span>
            {run.kind === "single" ? `tick ${whole(run.tick)} of ${whole(run.ticks)}` : pointWords(run)}
          </span>
          <span>{run.ticks_per_s === null || isFinal(run.state) ? "" : `${whole(run.ticks_per_s)} ticks/s`}</span>
          <span data-testid="eta">{remaining(run)}</span>
        </p>
      </div>
    </div>
  );
}

function pointWords(run: Run): string {
  const name = run.kind === "fit" ? "iterations" : "points";
  const failed = run.points_failed ? `, ${whole(run.points_failed)} failed` : "";
  return `${whole(run.points_done)} of ${whole(run.points_total ?? 0)} ${name} done${failed}`;
}

function waiting(queue: Run["queue"]): string {
  if (!queue) return "waiting for a worker";
  const place = queue.position === 1 ? "next in the queue" : `number ${whole(queue.position)} in the queue`;
  return queue.starts_in_s === null ? place : `${place}, begins in about ${duration(queue.starts_in_s)}`;
}

function remaining(run: Run): string {
  if (run.state === "queued") return waiting(run.queue);
  if (run.state === "running") {
    if (run.paused) return "paused";
    return run.eta_s === null ? "time left not known yet" : `${duration(run.eta_s)} left`;
  }
  if (run.started_at && run.finished_at) {
    return `took ${duration((Date.parse(run.finished_at) - Date.parse(run.started_at)) / 1000)}`;
  }
  return "";
}

/** What the buttons and the keys do. */
export function useTransport() {
  const { store } = useLive();
  const { run, mayControl } = useSnapshot();
  const dialog = useRef<HTMLDialogElement>(null);
  const [busy, setBusy] = useState(false);

  const order = async (kind: "cancel" | "pause" | "resume", done: string) => {
    setBusy(true);
    try {
      await store.command(kind);
      toast(done);
    } catch (problem) {
      toast(problem instanceof Error ? problem.message : String(problem), "error");
    } finally {
      setBusy(false);
    }
  };

  const playPause = () => {
    if (run.state !== "running" || busy || !mayControl) return;
    void (run.paused ? order("resume", "Going on") : order("pause", "Pausing at the next block of ticks"));
  };
  const askCancel = () => {
    if (!isFinal(run.state) && mayControl) dialog.current?.showModal();
  };
  const cancel = () => {
    dialog.current?.close();
    void order("cancel", "Cancelling");
  };
  return { busy, playPause, askCancel, cancel, dialog };
}

export function CancelDialog({
  dialog,
  onConfirm,
  points,
}: {
  points: string;
  dialog: React.RefObject<HTMLDialogElement | null>;
  onConfirm: () => void;
}) {
  return (
    <dialog ref={dialog} className="dialog" aria-labelledby="cancel-title">
      <h2 id="cancel-title">Cancel this run?</h2>
      <p>
        It stops within two seconds and cannot be continued. Its events{points} stay; it will have no result.
      </p>
      <div className="form-actions">
        <button type="button" className="button danger" onClick={onConfirm}>
          Cancel the run
        </button>
        <button type="button" className="button" onClick={() => dialog.current?.close()}>
          Let it run
        </button>
      </div>
    </dialog>
  );
}

function PauseIcon() {
  return (
    <svg viewBox="0 0 16 16" fill="currentColor" aria-hidden="true">
      <rect x="3.5" y="2.5" width="3" height="11" rx="1" />
      <rect x="9.5" y="2.5" width="3" height="11" rx="1" />
    </svg>
  );
}

function PlayIcon() {
  return (
    <svg viewBox="0 0 16 16" fill="currentColor" aria-hidden="true">
      <path d="M4.5 2.6v10.8a.6.6 0 0 0 .9.5l8.5-5.4a.6.6 0 0 0 0-1L5.400 2.1a.6.6 0 0 0-.9.5Z" />
    </svg>
  );
}
