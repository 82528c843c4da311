import { useMemo, useState } from "react";
import { type ResultTable } from "../api/run";
import { measured, percent, whole } from "../shared/format";
import { type GateRow, type GateTotal, type RowRate, type SortKey, gateRows, sorted, worst } from "./gateTable";

const FIRST = 25;

const COLUMNS: [SortKey, string][] = [
  ["gate", "Gate"],
  ["node", "Cell"],
  ["lag", "Lag"],
  ["margin", "Training margin"],
  ["worst", "Lowest rate"],
];

interface GateTableProps {
  table: ResultTable;
  name: string;
  totals: GateTotal[] | null;
}

/** Gates that held on fresh trials, with the rate of each truth-table row and its 95 % interval. */
export function GateTable({ table, name, totals }: GateTableProps) {
  const rows = useMemo(() => gateRows(table), [table]);
  const [key, setKey] = useState<SortKey>("gate");
  const [descending, setDescending] = useState(false);
  const [gate, setGate] = useState("");
  const [all, setAll] = useState(false);
  const [failedToo, setFailedToo] = useState(false);
  const gates = [...new Set(rows.map((row) => row.gate))].sort();
  const verified = rows.filter((row) => row.verified);
  const held = totals
    ? totals.filter((one) => one.verified > 0)
    : gates.map((one) => ({ gate: one, verified: verified.filter((row) => row.gate === one).length }));
  const sites = held.reduce((sum, one) => sum + one.verified, 0);
  const pool = failedToo ? rows : verified;
  const chosen = sorted(gate ? pool.filter((row) => row.gate === gate) : pool, key, descending);
  const shown = all ? chosen : chosen.slice(0, FIRST);

  const sortBy = (next: SortKey) => {
    if (next === key) setDescending(!descending);
    else {
      setKey(next);
      setDescending(next === "margin" || next === "worst");
    }
  };

  if (verified.length === 0 && !failedToo) {
    return (
      <div className="empty">
        <h3>No gate held</h3>
        <p>
          Every candidate that the training trials suggested failed on fresh ones, or none was suggested. Try another
          seed, a weaker coupling, or more ticks.
        </p>
        {rows.length > 0 && (
          <button type="button" className="button small" onClick={() => setFailedToo(true)}>
            Show the {whole(rows.length)} best that failed
          </button>
        )}
      </div>
    );
  }
  return (
    <>
      <div className="row result-head">
        <p data-testid="gate-summary">
          <strong>{held.length}</strong> gates verified at <strong>{whole(sites)}</strong> sites:{" "}
          {held.map((one) => `${one.gate} ${whole(one.verified)}`).join(", ")}.
          {sites > rows.length && " The table lists the best of each."}
        </p>
        <label className="row inline-check">
          <input type="checkbox" checked={failedToo} onChange={(e) => setFailedToo(e.target.checked)} />
          also sites that failed
        </label>
        <label className="visually-hidden" htmlFor="gate-filter">
          Kind of gate
        </label>
        <select id="gate-filter" className="input small-input" value={gate} onChange={(e) => setGate(e.target.value)}>
          <option value="">all gates</option>
          {gates.map((one) => (
            <option key={one}>{one}</option>
          ))}
        </select>
      </div>
      <div className="table-scroll" tabIndex={0} role="region" aria-label="Verified gates, scrolls sideways">
        <table className="table num gates" data-table={name}>
          <thead>
            <tr>
              {COLUMNS.slice(0, 3).map(([column, label]) => (
                <SortHead key={column} {...{ column, label, current: key, descending, sortBy }} />
              ))}
              {["00", "01", "10", "11"].map((inputs) => (
                <th key={inputs} scope="col">
                  A B = {inputs[0]} {inputs[1]}
                </th>
              ))}
              {COLUMNS.slice(3).map(([column, label]) => (
                <SortHead key={column} {...{ column, label, current: key, descending, sortBy }} />
              ))}
              <th scope="col">Threshold</th>
              <th scope="col" className="end">
                Trials
              </th>
              <th scope="col">Held out</th>
            </tr>
          </thead>
          <tbody>
            {shown.map((row) => (
              <tr key={`${row.gate}-${row.node}-${row.lag}`} data-gate={row.gate}>
                <th scope="row">
                  <i className="swatch" data-gate={row.gate} aria-hidden="true" /> {row.gate}
                </th>
                <td>{row.node}</td>
                <td>{row.lag}</td>
                {row.rates.map((rate) => (
                  <td key={rate.inputs}>
                    <Interval rate={rate} />
                  </td>
                ))}
                <td>{measured(row.margin)}</td>
                <td>{rateText(worst(row))}</td>
                <td>{measured(row.threshold)}</td>
                <td className="end">{row.trials}</td>
                <td>{verdict(row)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {chosen.length > shown.length && (
        <button type="button" className="button small quiet" onClick={() => setAll(true)}>
          Show all {whole(chosen.length)} rows
        </button>
      )}
    </>
  );
}

interface SortHeadProps {
  column: SortKey;
  label: string;
  current: SortKey;
  descending: boolean;
  sortBy: (key: SortKey) => void;
}

function SortHead({ column, label, current, descending, sortBy }: SortHeadProps) {
  const active = column === current;
  return (
    <th scope="col" aria-sort={active ? (descending ? "descending" : "ascending") : "none"}>
      <button type="button" className="sort-button" onClick={() => sortBy(column)}>
        {label}
        <span aria-hidden="true">{active ? (descending ? " ↓" : " ↑") : ""}</span>
      </button>
    </th>
  );
}

function rateText(rate: number | null): string {
  return rate === null ? "no data" : percent(rate);
}

function verdict(row: GateRow): string {
  if (!row.verified) return "failed";
  if (row.retained === null) return "verified";
  return row.retained ? "verified, held again" : "verified, failed later";
}

const LEFT = 0.8;

/** A rate as a point and its interval as a bar on the scale from 80 to 100 %, and both as numbers. */
function Interval({ rate }: { rate: RowRate }) {
  if (rate.rate === null) return <span className="panel-note">no data</span>;
  const x = (value: number) => 2 + (Math.max(value, LEFT) - LEFT) * (76 / (1 - LEFT));
  return (
    <div className="interval">
      <svg viewBox="0 0 80 10" aria-hidden="true" focusable="false">
        <line className="scale" x1={x(LEFT)} x2={x(1)} y1="5" y2="5" />
        <line className="limit" x1={x(0.95)} x2={x(0.95)} y1="1" y2="9" />
        <line className="range" x1={x(rate.low)} x2={x(rate.high)} y1="5" y2="5" />
        <circle cx={x(rate.rate)} cy="5" r="2.6" />
      </svg>
      <span>{percent(rate.rate)}</span>
      <span className="panel-note">
        {(rate.low * 100).toFixed(1)}–{(rate.high * 100).toFixed(1)}
      </span>
    </div>
  );
}
