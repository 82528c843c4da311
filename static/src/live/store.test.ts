// What the page makes of messages. The socket's own behaviour is tried in link.test.ts against a real server.
import { encode } from "@msgpack/msgpack";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ApiClient } from "../api/client";
import type { Run } from "../api/run";
import type { SocketClass } from "./link";
import { EVENTS_KEPT, RunStore } from "./store";

/** A socket whose other side is the test. */
class Wire extends EventTarget {
  static last: Wire;
  binaryType = "";
  readyState = 1;
  constructor() {
    super();
    Wire.last = this;
  }
  send(): void {}
  close(): void {
    this.readyState = 3;
  }
  shuts(code: number): void {
    this.dispatchEvent(new CloseEvent("close", { code }));
  }
  says(message: unknown): void {
    this.dispatchEvent(new MessageEvent("message", { data: encode(message).slice().buffer }));
  }
}

const urls = Object.fromEntries(
  ["events", "result", "cancel", "pause", "resume", "controls", "triggers", "socket", "points", "rerun", "apply", "formats", "exports", "artifacts"].map((name) => [name, `/run/${name}/`]),
) as Run["urls"];

const run: Run = {
  id: "r", kind: "single", origin: null, design: null, recording: [], recording_bytes: 0, points_total: null, points_done: 0, points_failed: 0, state: "running", paused: false, seed: 7, ticks: 1000, max_seconds: 3600, tick: 0, progress: 0, eta_s: null, ticks_per_s: null,
  error: null, result_hash: "", queue: null, preset: null, created_at: "", started_at: null, finished_at: null, urls,
  graph: { id: "g", name: "G", version: 1, content_hash: "h", spec: { nodes: [] } },
};

let answers: Record<string, Response | (() => Promise<Response>)>;
let store: RunStore;

function json(body: unknown, status = 200): Response {
  return new Response(JSON.stringify(body), { status, headers: { "Content-Type": "application/json" } });
}

beforeEach(() => {
  answers = {};
  vi.stubGlobal("fetch", (url: string) => {
    const answer = answers[url] ?? json({ title: "Not found", detail: "" }, 404);
    return typeof answer === "function" ? answer() : Promise.resolve(answer);
  });
  store = new RunStore({
    run,
    socketUrl: "ws://host/",
    api: new ApiClient("token"),
    mayControl: true,
    base: { "array.coupling": 0.2 },
    Socket: Wire as unknown as SocketClass,
  });
  store.open();
  Wire.last.says({ kind: "hello", run: { id: "r", state: "running" }, last_event: 0, live: true });
});

afterEach(() => {
  store.close();
  vi.unstubAllGlobals();
});

const progress = (tick: number) => ({ kind: "status", seq: null, payload: { state: "running", tick, progress: tick / 1000 } });
const settle = () => new Promise((resolve) => setTimeout(resolve, 0));

describe("RunStore", () => {
  it("never turns the clock back when a late message comes", () => {
    Wire.last.says(progress(500));
    Wire.last.says(progress(300));
    expect(store.snapshot().run).toMatchObject({ tick: 500, progress: 0.5 });
  });

  it("goes back to the checkpoint from which a run that was handed over goes on", () => {
    Wire.last.says(progress(500));
    const payload = { state: "queued", attempt: 1, reason: "The worker was lost.", resumes_at: 300 };
    Wire.last.says({ kind: "status", seq: 1, tick: 300, payload });
    expect(store.snapshot().run).toMatchObject({ state: "queued", tick: 300, progress: 0.3 });
    expect(store.snapshot().events.at(-1)?.text).toBe("The worker was lost. The run goes on from tick 300.");
    Wire.last.says(progress(320));
    expect(store.snapshot().run).toMatchObject({ state: "running", tick: 320 });
  });

  it("does not leave a final state again", () => {
    Wire.last.says({ kind: "status", seq: 1, tick: 900, payload: { state: "cancelled" } });
    Wire.last.says(progress(950));
    expect(store.snapshot().run.state).toBe("cancelled");
  });

  it("keeps the newest events and says how many went", () => {
    for (let seq = 1; seq <= EVENTS_KEPT + 50; seq += 1) {
      Wire.last.says({ kind: "log", seq, tick: seq, payload: { message: `m${seq}` } });
    }
    const { events, earlier } = store.snapshot();
    expect(events).toHaveLength(EVENTS_KEPT);
    expect(earlier).toBe(50);
    expect(events.at(-1)?.text).toBe(`m${EVENTS_KEPT + 50}`);
  });

  it("says that live frames are away and that they are back", () => {
    Wire.last.says({ kind: "status", seq: null, payload: { live: false, reason: "the transport is away" } });
    expect(store.snapshot()).toMatchObject({ live: false, reason: "the transport is away" });
    Wire.last.says({ kind: "status", seq: null, payload: { live: true, reason: null } });
    expect(store.snapshot()).toMatchObject({ live: true, reason: null });
  });

  it("follows a control from sending over sent to applied at a tick", async () => {
    answers["/run/controls/"] = json({ seq: 1 }, 202);
    const sent = store.setControl("array.coupling", 0.4);
    expect(store.snapshot().controls["array.coupling"]).toEqual({ value: 0.4, status: { step: "sending" } });
    await sent;
    expect(store.snapshot().controls["array.coupling"]?.status).toEqual({ step: "sent" });
    Wire.last.says({ kind: "log", seq: 1, tick: 64, payload: { type: "control", target: "array.coupling", value: 0.4 } });
    expect(store.snapshot().controls["array.coupling"]).toEqual({ value: 0.4, status: { step: "applied", tick: 64 } });
  });

  it("keeps the tick when the worker was quicker than the answer", async () => {
    let release = (_: Response) => {};
    answers["/run/controls/"] = () => new Promise((resolve) => (release = resolve));
    const sent = store.setControl("array.coupling", 0.4);
    Wire.last.says({ kind: "log", seq: 1, tick: 64, payload: { type: "control", target: "array.coupling", value: 0.4 } });
    release(json({ seq: 1 }, 202));
    await sent;
    expect(store.snapshot().controls["array.coupling"]?.status).toEqual({ step: "applied", tick: 64 });
  });

  it("shows the server's reason when a control is refused", async () => {
    const problems = [{ place: "array.coupling", message: "9 is above 5.", mend: "Give 0 to 5." }];
    answers["/run/controls/"] = json({ title: "Refused", detail: "One value is not allowed.", problems }, 422);
    await store.setControl("array.coupling", 9);
    const status = store.snapshot().controls["array.coupling"]?.status;
    expect(status?.step).toBe("refused");
    expect(status?.step === "refused" && status.message).toContain("Give 0 to 5.");
  });

  it("reads the result once the run has succeeded, and says why when it cannot", async () => {
    answers["/run/result/"] = json({ tables: {}, outputs: {}, result_hash: "x" });
    Wire.last.says({ kind: "status", seq: 1, tick: 1000, payload: { state: "succeeded" } });
    await settle();
    await settle();
    expect(store.snapshot().result?.result_hash).toBe("x");
  });

  it("stops trying when the person may not see the run any more", async () => {
    Wire.last.says({ kind: "status", seq: 1, tick: 1, payload: { state: "failed" } });
    await settle();
    await settle();
    expect(store.snapshot().link).toBe("refused");
  });

  it("lets nobody turn a run whose role is another since, and goes on watching", async () => {
    expect(store.snapshot().mayControl).toBe(true);
    answers["/run/"] = json({ may: ["workspace.read"] });
    const before = Wire.last;
    before.shuts(4409);
    await settle();
    await vi.waitFor(() => expect(Wire.last).not.toBe(before));
    expect(store.snapshot().mayControl).toBe(false);
  });

  it("knows at once that there is nothing to watch any more", async () => {
    answers["/run/"] = json({ title: "Not found", detail: "" }, 404);
    Wire.last.shuts(4404);
    await settle();
    await settle();
    expect(store.snapshot().link).toBe("refused");
  });
});
