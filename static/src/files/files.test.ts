import { describe, expect, it } from "vitest";
import { type Export, type Files, expects, isActive, recorded, size } from "./files";

const recording = (...every: number[]) => ({
  kind: "single" as const,
  recording: every.map((one, k) => ({ node: "osc", port: `x${k}`, every: one })),
});

describe("files of a run", () => {
  it("says sizes in three digits", () => {
    expect([0, 999, 1000, 1_234_567, 9_999_999_999].map(size)).toEqual(["0 B", "999 B", "1 kB", "1.23 MB", "10 GB"]);
  });

  it("says what is recorded, and how often where that differs", () => {
    expect(recorded(recording())).toBe("This run records nothing.");
    expect(recorded(recording(1, 1))).toBe("Records osc.x0, osc.x1, every tick.");
    expect(recorded(recording(1, 7))).toBe("Records osc.x0 (every tick), osc.x1 (every 7 ticks).");
    expect(recorded(recording(...Array<number>(9).fill(2)))).toContain("and 3 more, every 2 ticks");
  });

  it("asks again while something is under way, and not for ever", () => {
    const files = (state?: Export["state"], artifacts = 1): Files => ({
      artifacts: Array(artifacts).fill({}) as Files["artifacts"],
      exports: state ? [{ state } as Export] : [],
      formats: [],
    });
    expect(expects(recording(1), null, false)).toBe(false);
    expect(expects(recording(1), files(undefined, 0), true)).toBe(true);
    expect(expects(recording(), files(undefined, 0), true)).toBe(false);
    expect(expects(recording(1), files("running"), true)).toBe(true);
    expect(expects(recording(1), files("failed"), true)).toBe(false);
    expect(isActive({ state: "queued" } as Export)).toBe(true);
  });
});
