import { useEffect, useState } from "react";

const KEPT = "single-key-shortcuts";

/** Whether single keys act; people who speak to their computer, or whose hands slip, switch them off. */
function kept(): boolean {
  return localStorage.getItem(KEPT) !== "off";
}

const KEYS: [string, string][] = [
  ["Space", "Play or pause"],
  ["C", "Cancel the run (asks first)"],
  ["G", "Go to the graph"],
  ["V", "Go to the live views"],
  ["R", "Go to the result"],
  ["E", "Go to the events"],
  ["Arrows + −", "In the phase space: turn it, change the distance"],
  ["Arrows", "On a slider: one step"],
  ["?", "This panel"],
];

export interface ShortcutActions {
  playPause: () => void;
  cancel: () => void;
  panel: () => void;
}

/** Single keys act unless the focus is where they mean something else. */
export function useShortcuts(actions: ShortcutActions): void {
  useEffect(() => {
    const jump = (id: string) => {
      const target = document.getElementById(id);
      target?.scrollIntoView({ block: "start" });
      target?.focus({ preventScroll: true });
    };
    const onKeyDown = (event: KeyboardEvent) => {
      if (!kept() || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
      const target = event.target as HTMLElement;
      if (target.closest("input:not([type=range]), textarea, select, dialog, [contenteditable]")) return;
      // Space presses what has the focus.
      if (event.key === " " && target.closest("button, a, summary, .react-flow__node")) return;
      const does: Record<string, () => void> = {
        " ": actions.playPause,
        c: actions.cancel,
        g: () => jump("graph"),
        v: () => jump("views"),
        r: () => jump("result"),
        e: () => jump("events"),
        "?": actions.panel,
      };
      const act = does[event.key];
      if (!act) return;
      event.preventDefault();
      act();
    };
    document.addEventListener("keydown", onKeyDown);
    return () => document.removeEventListener("keydown", onKeyDown);
  }, [actions]);
}

export function ShortcutDialog({ dialog }: { dialog: React.RefObject<HTMLDialogElement | null> }) {
  const [on, setOn] = useState(kept);
  const choose = (next: boolean) => {
    localStorage.setItem(KEPT, next ? "on" : "off");
    setOn(next);
  };
  return (
    <dialog ref={dialog} className="dialog" aria-labelledby="shortcuts-title">
      <h2 id="shortcuts-title">Keys on this page</h2>
      <dl className="shortcut-list">
        {KEYS.map(([key, does]) => (
          <div key={does} className="shortcut">
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{does}</dd>
          </div>
        ))}
      </dl>
      <label className="row inline-check">
        <input type="checkbox" checked={on} onChange={(event) => choose(event.target.checked)} />
        Single keys act on this page
      </label>
      <div className="form-actions">
        <button type="button" className="button" onClick={() => dialog.current?.close()}>
          Close
        </button>
      </div>
    </dialog>
  );
}
