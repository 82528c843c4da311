// The table of verified gates as typed rows.
import type { ResultTable } from "../api/run";

export interface RowRate {
  /** Inputs of the truth-table row: "00", "01", "10" or "11". */
  inputs: string;
  rate: number;
  low: number;
  high: number;
}

export interface GateRow {
  gate: string;
  node: number;
  lag: number;
  polarity: number;
  threshold: number;
  margin: number;
  rates: RowRate[];
  trials: number;
  verified: boolean;
}

export const INPUTS = ["00", "01", "10", "11"] as const;
const NEEDED = ["gate", "node", "lag", "polarity", "threshold", "train_margin", "trials", "verified"];

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
      polarity: Number(cell("polarity")),
      threshold: Number(cell("threshold")),
      margin: Number(cell("train_margin")),
      rates: INPUTS.map((inputs) => ({
        inputs,
        rate: Number(cell(`r${inputs}`)),
        low: Number(cell(`lo${inputs}`)),
        high: Number(cell(`hi${inputs}`)),
      })),
      trials: Number(cell("trials")),
      verified: Boolean(cell("verified")),
    };
  });
}

export type SortKey = "gate" | "node" | "lag" | "margin" | "worst";

/** The lowest of the four held-out rates. */
export function worst(row: GateRow): number {
  return Math.min(...row.rates.map((one) => one.rate));
}

export function sorted(rows: readonly GateRow[], key: SortKey, descending: boolean): GateRow[] {
  const value = (row: GateRow): string | number => (key === "worst" ? worst(row) : row[key]);
  const compare = (a: GateRow, b: GateRow) => {
    const [x, y] = [value(a), value(b)];
    const order = typeof x === "string" ? x.localeCompare(String(y)) : x - Number(y);
    return (descending ? -order : order) || a.node - b.node || a.lag - b.lag;
  };
  return [...rows].sort(compare);
}
