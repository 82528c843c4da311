import type { ReactNode } from "react";
import { lineStyle } from "./overlay";

export interface LegendEntry {
  run: string;
  /** Of its run among all that are compared: each has one line style in every plot. */
  index: number;
  label: string;
  readout?: ReactNode;
}

interface LegendProps {
  entries: readonly LegendEntry[];
  hidden: ReadonlySet<string>;
  dark: boolean;
  onToggle: (run: string) => void;
}

/** The runs of a plot, each to be hidden and shown again. */
export function Legend({ entries, hidden, dark, onToggle }: LegendProps) {
  return (
    <ul className="overlay-legend" aria-label="Runs in the plot">
      {entries.map(({ run, index, label, readout }) => {
        const style = lineStyle(index, dark);
        return (
          <li key={run} data-run={run}>
            <label>
              <input type="checkbox" checked={!hidden.has(run)} onChange={() => onToggle(run)} />
              <svg width="26" height="8" aria-hidden="true">
                <line x1="0" x2="26" y1="4" y2="4" stroke={style.colour} strokeWidth="2" strokeDasharray={style.dash.join(" ")} />
              </svg>
              <span>{label}</span>
            </label>
            {readout}
          </li>
        );
      })}
    </ul>
  );
}

/** The set with a run in it if it was not, and without it if it was. */
export function toggled(hidden: ReadonlySet<string>, run: string): ReadonlySet<string> {
  const next = new Set(hidden);
  if (!next.delete(run)) next.add(run);
  return next;
}
