// The table of verified gates as typed rows.
import type { ResultTable } from "../api/run";

export interface RowRate {
  /** Inputs of the truth-table row: "00", "01", "10" or "11". */
  inputs: string;
  /** Share of the held-out trials read right; null when the row has had none. */
  rate: number | null;
  low: number;
  high: number;
}

export interface GateRow {
  gate: string;
  node: number;
  lag: number;
  threshold: number;
  margin: number;
  rates: RowRate[];
  trials: number;
  verified: boolean;
  /** Whether it stood in later trials as well; null when there were none. */
  retained: boolean | null;
}

export const INPUTS = ["00", "01", "10", "11"] as const;
const NEEDED = ["gate", "node", "lag", "threshold", "margin", "trials", "verified"];

/** The table in a result that has the columns of a gate search; null when there is none. */
export function findGateTable(tables: Readonly<Record<string, ResultTable>>): { name: string; table: ResultTable } | null {
  for (const [name, table] of Object.entries(tables)) {
    if (table.columns.includes("gate") && table.columns.includes("r00")) return { name, table };
  }
  return null;
}

/** Its rows. Raises an Error that names every missing column. */
export function gateRows(table: ResultTable): GateRow[] {
  const wanted = [...NEEDED, ...INPUTS.flatMap((inputs) => [`r${inputs}`, `lo${inputs}`, `hi${inputs}`])];
  const missing = wanted.filter((name) => !table.columns.includes(name));
  if (missing.length > 0) throw new Error(`the table of gates lacks the columns ${missing.join(", ")}`);
  const place = new Map(table.columns.map((name, index) => [name, index]));
  return table.rows.map((row) => {
    const cell = (name: string) => row[place.get(name) ?? -1];
    return {
      gate: String(cell("gate")),
      node: Number(cell("node")),
      lag: Number(cell("lag")),
      threshold: Number(cell("threshold")),
      margin: Number(cell("margin")),
      rates: INPUTS.map((inputs) => ({
        inputs,
        rate: share(cell(`r${inputs}`)),
        low: Number(cell(`lo${inputs}`)),
        high: Number(cell(`hi${inputs}`)),
      })),
      trials: Number(cell("trials")),
      verified: cell("verified") === true,
      retained: typeof cell("retained") === "boolean" ? cell("retained") === true : null,
    };
  });
}

export interface GateTotal {
  gate: string;
  candidates: number;
  verified: number;
}

/** How many sites of each gate were candidates and how many verified; null when the result does not say. */
export function gateTotals(tables: Readonly<Record<string, ResultTable>>): GateTotal[] | null {
  const table = Object.values(tables).find((one) => one.columns.includes("candidates") && one.columns.includes("gate"));
  if (!table) return null;
  const [gate, candidates, verified] = ["gate", "candidates", "verified"].map((name) => table.columns.indexOf(name));
  return table.rows.map((row) => ({
    gate: String(row[gate ?? -1]),
    candidates: Number(row[candidates ?? -1]),
    verified: Number(row[verified ?? -1]),
  }));
}

export type SortKey = "gate" | "node" | "lag" | "margin" | "worst";

function share(cell: unknown): number | null {
  return typeof cell === "number" ? cell : null;
}

/** The lowest of the four held-out rates; null when a row has had no trial. */
export function worst(row: GateRow): number | null {
  const rates = row.rates.map((one) => one.rate);
  return rates.some((rate) => rate === null) ? null : Math.min(...rates.map(Number));
}

export function sorted(rows: readonly GateRow[], key: SortKey, descending: boolean): GateRow[] {
  const value = (row: GateRow): string | number => (key === "worst" ? (worst(row) ?? -1) : row[key]);
  const compare = (a: GateRow, b: GateRow) => {
    const [x, y] = [value(a), value(b)];
    const order = typeof x === "string" ? x.localeCompare(String(y)) : x - Number(y);
    return (descending ? -order : order) || a.node - b.node || a.lag - b.lag;
  };
  return [...rows].sort(compare);
}
