import { useMemo, useState } from "react";
import { whole } from "../shared/format";
import { shown } from "./HeatMap";
import { type Point, valueOn } from "./points";

const SHOWN = 20;

interface PointTableProps {
  points: readonly Point[];
  params: readonly string[];
  metrics: readonly string[];
  /** What a row is called: a point, an iteration. */
  name: string;
}

/** The points as numbers, with the reasons of those that failed. */
export function PointTable({ points, params, metrics, name }: PointTableProps) {
  const [by, setBy] = useState<{ column: string; down: boolean }>({ column: "", down: false });
  const [onlyFailed, setOnlyFailed] = useState(false);
  const [page, setPage] = useState(0);
  const failed = useMemo(() => points.filter((point) => point.error).length, [points]);
  const sorted = useMemo(() => {
    const chosen = onlyFailed ? points.filter((point) => point.error) : [...points];
    if (!by.column) return by.down ? chosen.reverse() : chosen;
    // What has no value comes last, whichever way.
    const rank = (point: Point) => {
      const value = valueOn(point, by.column);
      return typeof value === "number" ? value : value === null ? Number.NaN : Number(value);
    };
    return chosen.sort((a, b) => {
      const [x, y] = [rank(a), rank(b)];
      if (Number.isNaN(x) || Number.isNaN(y)) return Number(Number.isNaN(x)) - Number(Number.isNaN(y));
      return by.down ? y - x : x - y;
    });
  }, [points, by, onlyFailed]);
  const pages = Math.max(1, Math.ceil(sorted.length / SHOWN));
  const at = Math.min(page, pages - 1);
  const rows = sorted.slice(at * SHOWN, (at + 1) * SHOWN);

  const heading = (column: string, title: string) => (
    <th key={column} scope="col" aria-sort={by.column === column ? (by.down ? "descending" : "ascending") : "none"}>
      <button
        type="button"
        className="sort-button"
        onClick={() => setBy({ column, down: by.column === column && !by.down })}
      >
        {title}
        {by.column === column && <span aria-hidden="true">{by.down ? " ↓" : " ↑"}</span>}
      </button>
    </th>
  );

  return (
    <div data-testid="points-table">
      <div className="row table-tools">
        {failed > 0 && (
          <label className="check-line">
            <input
              type="checkbox"
              checked={onlyFailed}
              onChange={(event) => {
                setOnlyFailed(event.target.checked);
                setPage(0);
              }}
            />
            Only the {whole(failed)} that failed
          </label>
        )}
        {pages > 1 && (
          <span className="row pages">
            <button type="button" className="button small" disabled={at === 0} onClick={() => setPage(at - 1)}>
              Back
            </button>
            <span className="num">
              {whole(at + 1)} of {whole(pages)}
            </span>
            <button type="button" className="button small" disabled={at === pages - 1} onClick={() => setPage(at + 1)}>
              On
            </button>
          </span>
        )}
      </div>
      {/* What scrolls must be reached by the keyboard. */}
      <div className="table-scroll" tabIndex={0} role="region" aria-label={`Table of ${name}s`}>
        <table className="table num">
          <thead>
            <tr>
              {heading("", name)}
              {params.map((column) => heading(column, column))}
              {metrics.map((column) => heading(column, column))}
            </tr>
          </thead>
          <tbody>
            {rows.map((point) => (
              <tr key={point.index} data-state={point.error ? "failed" : "succeeded"}>
                <th scope="row">{whole(point.index)}</th>
                {params.map((column) => (
                  <td key={column}>{shown(valueOn(point, column))}</td>
                ))}
                {point.error ? (
                  <td colSpan={Math.max(1, metrics.length)} className="point-error">
                    <strong>
                      {point.error.node ? `${point.error.node} failed` : "Failed"}
                      {point.error.tick === null || !point.error.node ? "" : ` at tick ${whole(point.error.tick)}`}
                    </strong>{" "}
                    <code>{point.error.code}</code> {point.error.message} {point.error.mend}
                  </td>
                ) : (
                  metrics.map((column) => <td key={column}>{shown(valueOn(point, column))}</td>)
                )}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </div>
  );
}
