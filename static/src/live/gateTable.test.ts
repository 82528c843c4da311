import { describe, expect, it } from "vitest";
import type { ResultTable } from "../api/run";
import { findGateTable, gateRows, gateTotals, sorted, worst } from "./gateTable";

const columns = [
  "gate", "node", "lag", "threshold", "margin",
  "r00", "r01", "r10", "r11", "lo00", "lo01", "lo10", "lo11", "hi00", "hi01", "hi10", "hi11",
  "trials", "verified",
];
const rates = [1, 0.98, 0.97, 0.99, 0.96, 0.95, 0.94, 0.96, 1, 0.995, 0.99, 1];
const table: ResultTable = {
  columns,
  rows: [
    ["XOR", 17, 12, 0.25, 0.4, ...rates, 120, true],
    ["AND", 3, 4, -0.5, 0.9, ...rates.map((rate) => rate * 0.9), 120, false],
  ],
};

describe("gate table", () => {
  it("is found by its columns, not by its name", () => {
    expect(findGateTable({ "other.table": { columns: ["a"], rows: [] }, "search.gates": table })?.name).toBe("search.gates");
    expect(findGateTable({ "other.table": { columns: ["a"], rows: [] } })).toBeNull();
  });

  it("gives each truth-table row its rate and interval, whatever the order of the columns", () => {
    const order = [...columns.keys()].reverse();
    const turned = { columns: order.map((i) => columns[i] ?? ""), rows: table.rows.map((row) => order.map((i) => row[i])) };
    const [first] = gateRows(turned);
    expect(first).toMatchObject({ gate: "XOR", node: 17, lag: 12, trials: 120, verified: true });
    expect(first?.rates[2]).toEqual({ inputs: "10", rate: 0.97, low: 0.94, high: 0.99 });
  });

  it("names every missing column", () => {
    const poorer = { columns: columns.filter((name) => name !== "lo01" && name !== "trials"), rows: [] };
    expect(() => gateRows(poorer)).toThrow(/trials.*lo01/);
  });

  it("reads the totals, which count every site and not only those that are listed", () => {
    const totals = { columns: ["gate", "candidates", "verified", "retested", "retained"], rows: [["XOR", 90, 41, 0, 0]] };
    expect(gateTotals({ "search.gates": table, "search.totals": totals })).toEqual([
      { gate: "XOR", candidates: 90, verified: 41 },
    ]);
    expect(gateTotals({ "search.gates": table })).toBeNull();
  });

  it("says null, not zero, of a row without trials", () => {
    const cells = [...(table.rows[0] ?? [])];
    cells[columns.indexOf("r01")] = null;
    const [row] = gateRows({ columns, rows: [cells] });
    expect(row?.rates[1]?.rate).toBeNull();
    expect(row && worst(row)).toBeNull();
  });

  it("sorts by the lowest rate both ways", () => {
    const rows = gateRows(table);
    expect(sorted(rows, "worst", true).map((row) => row.gate)).toEqual(["XOR", "AND"]);
    expect(sorted(rows, "worst", false).map((row) => row.gate)).toEqual(["AND", "XOR"]);
    expect(sorted(rows, "node", false).map((row) => row.node)).toEqual([3, 17]);
  });
});
