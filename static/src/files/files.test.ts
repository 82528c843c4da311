import { describe, expect, it } from "vitest";
import { type Export, type Files, type Recording, askAgain, isActive, readFiles, recorded, size } from "./files";

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

  it("never shows what has come to its end with lists of before", async () => {
    for (let over_at = 0; over_at <= 4; over_at += 1) {
      let answered = 0;
      // The recording is kept, and the export has its file, before this many answers.
      const get = (async (url: string) => {
        const over = answered++ >= over_at;
        await Promise.resolve();
        if (url === "formats") return over ? [{ format: "csv" }] : [];
        if (url === "recording") return { state: over ? "kept" : "pending" };
        if (url === "exports") return { results: [{ state: over ? "succeeded" : "running", waiting: null }] };
        return { results: over ? [{ kind: "recording" }, { kind: "export" }] : [] };
      }) as <T>(url: string) => Promise<T>;
      const files = await readFiles(get, { artifacts: "artifacts", exports: "exports", formats: "formats", recording: "recording" });
      if (askAgain(files, true) === null) expect([files.artifacts.length, files.formats.length]).toEqual([2, 1]);
    }
  });

  it("asks again while something is under way, and more rarely while it waits", () => {
    const files = (state: Recording["state"], ...exports: Partial<Export>[]): Files => ({
      artifacts: [],
      exports: exports as Export[],
      formats: [],
      recording: { state } as Recording,
    });
    const away = { waits_for: "storage" } as Export["waiting"];
    expect(askAgain(files("recording"), false)).toBe(null);
    expect(askAgain(files("pending"), true)).toBe(1000);
    expect(askAgain(files("pending"), true, 60)).toBe(15_000);
    expect(askAgain(files("kept", { state: "running", waiting: null }), true)).toBe(1000);
    expect(askAgain(files("kept", { state: "queued", waiting: away }), true)).toBe(15_000);
    expect(askAgain(files("kept", { state: "queued", waiting: away }, { state: "queued", waiting: null }), true)).toBe(1000);
    expect(askAgain(files("waiting"), true)).toBe(15_000);
    for (const state of ["none", "kept", "failed", "lost", "gone"] as const) {
      expect(askAgain(files(state, { state: "failed" }), true)).toBe(null);
    }
    expect(isActive({ state: "queued" } as Export)).toBe(true);
  });
});
