// Everything the run page knows, in one place that React reads as immutable snapshots.
import type { ApiClient } from "../api/client";
import { ApiProblem } from "../api/problem";
import { type Run, type RunNews, type RunResult, isFinal } from "../api/run";
import { PointStore, isPointsNews } from "../series/points";
import { GONE, ROLE_CHANGED, RunLink, type LinkState, type SocketClass } from "./link";
import { type EventMessage, type Frame, type Hello, type StatusPayload, type Subscription, portKey } from "./protocol";

export const EVENTS_KEPT = 1000;
const POLL_MS = 5000;

export interface EventItem {
  seq: number;
  /** status, log, error, control, metric, result or points. */
  kind: string;
  level: string;
  tick: number | null;
  node: string | null;
  text: string;
}

/** Where a control stands: as the graph has it; on its way; taken by the server; in force since a tick; refused. */
export type ControlStatus =
  | { step: "base" }
  | { step: "sending" }
  | { step: "sent" }
  | { step: "applied"; tick: number }
  | { step: "refused"; message: string };

export interface ControlState {
  value: number;
  status: ControlStatus;
}

export interface Snapshot {
  run: Run;
  link: LinkState;
  retryAt: number | null;
  /** Whether the person's role allows to pause, turn and cancel the run. */
  mayControl: boolean;
  /** False while frames cannot come although the link stands; `reason` says why. */
  live: boolean;
  reason: string | null;
  events: readonly EventItem[];
  /** Events older than the list holds. */
  earlier: number;
  controls: Readonly<Record<string, ControlState>>;
  result: RunResult | null;
  resultProblem: string | null;
  refusal: string | null;
}

export type FrameListener = (frame: Frame) => void;

export interface StoreOptions {
  run: Run;
  socketUrl: string;
  api: ApiClient;
  /** Whether the role with which the page was opened allows to control the run. */
  mayControl: boolean;
  /** Base values of the controls, by target. */
  base: Readonly<Record<string, number>>;
  Socket?: SocketClass;
}

export class RunStore {
  readonly link: RunLink;
  /** Those of a sweep or fit; none of a single run. */
  readonly points = new PointStore();
  readonly #api: ApiClient;
  readonly #runUrl: string;
  readonly #base: Readonly<Record<string, number>>;
  readonly #listeners = new Set<() => void>();
  readonly #frames = new Map<string, Set<FrameListener>>();
  #snapshot: Snapshot;
  #poll: ReturnType<typeof setInterval> | undefined;
  #publishing = false;

  constructor(options: StoreOptions) {
    this.#api = options.api;
    this.#base = options.base;
    this.#runUrl = options.run.urls.events.replace(/events\/$/, "");
    const controls: Record<string, ControlState> = {};
    for (const [target, value] of Object.entries(options.base)) controls[target] = { value, status: { step: "base" } };
    this.#snapshot = {
      run: options.run,
      link: "connecting",
      retryAt: null,
      mayControl: options.mayControl,
      live: true,
      reason: null,
      events: [],
      earlier: 0,
      controls,
      result: null,
      resultProblem: null,
      refusal: null,
    };
    this.link = new RunLink(
      { url: options.socketUrl, ...(options.Socket ? { Socket: options.Socket } : {}) },
      {
        onState: (state, wait) => this.#onLink(state, wait),
        onHello: (hello) => this.#onHello(hello),
        onEvent: (event) => this.#onEvent(event),
        onFrame: (frame) => this.#onFrame(frame),
        onRefusal: (message) => this.#change({ refusal: message }),
        onClosed: (code) => {
          if (code === GONE) void this.#pollRun();
          if (code === ROLE_CHANGED) void this.#askRole();
        },
      },
    );
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  readonly snapshot = (): Snapshot => this.#snapshot;

  open(): void {
    this.link.open();
    this.#expect();
    if (isFinal(this.#snapshot.run.state)) void this.#loadResult();
    // No event of this run tells the points that it has taken over from another.
    if (this.#snapshot.run.origin) void this.points.load(this.#api, this.#snapshot.run.urls.points);
  }

  close(): void {
    clearInterval(this.#poll);
    this.#poll = undefined;
    this.link.close();
  }

  /** Calls back with each frame of a port and asks the server for them. Gives back the way to stop. */
  watch(subscription: Subscription, listener: FrameListener): () => void {
    const key = portKey(subscription.node, subscription.port);
    const listeners = this.#frames.get(key) ?? new Set();
    listeners.add(listener);
    this.#frames.set(key, listeners);
    const release = this.link.subscribe(subscription);
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0) this.#frames.delete(key);
      release();
    };
  }

  /** Sends a control's value. Raises ApiProblem. */
  async setControl(target: string, value: number): Promise<void> {
    this.#control(target, { value, status: { step: "sending" } });
    try {
      await this.#api.post(this.#snapshot.run.urls.controls, { target, value });
    } catch (problem) {
      const message = problem instanceof ApiProblem ? problem.message : String(problem);
      this.#control(target, { value, status: { step: "refused", message } });
      return;
    }
    const now = this.#snapshot.controls[target];
    // The worker may have applied it before the answer came, or a newer value is on its way.
    if (now?.value === value && now.status.step === "sending") {
      this.#control(target, { value, status: { step: "sent" } });
    }
  }

  async command(kind: "cancel" | "pause" | "resume"): Promise<void> {
    await this.#api.post(this.#snapshot.run.urls[kind]);
  }

  /** Reads something else from the API. Raises ApiProblem. */
  async get<T>(url: string): Promise<T> {
    return this.#api.get<T>(url);
  }

  async delete(url: string): Promise<void> {
    await this.#api.delete(url);
  }

  /** Asks something else of the API in the name of the page. Raises ApiProblem. */
  async post<T>(url: string, body: unknown = {}): Promise<T> {
    return this.#api.post<T>(url, body);
  }

  async trigger(target: string): Promise<void> {
    await this.#api.post(this.#snapshot.run.urls.triggers, { target });
  }

  base(target: string): number | undefined {
    return this.#base[target];
  }

  dismissRefusal(): void {
    this.#change({ refusal: null });
  }

  #onLink(link: LinkState, wait: number | null): void {
    this.#change({ link, retryAt: wait === null ? null : Date.now() + wait });
    this.#ask();
  }

  /** Ask how the run goes, now and then, where no message tells it: without the socket, and while it waits. */
  #ask(): void {
    const { link, run } = this.#snapshot;
    const needed = link === "reconnecting" || (link !== "refused" && run.state === "queued");
    if (needed === (this.#poll !== undefined)) return;
    clearInterval(this.#poll);
    this.#poll = needed ? setInterval(() => void this.#pollRun(), POLL_MS) : undefined;
  }

  #onHello(hello: Hello): void {
    this.#merge(hello.run);
    this.#change({ live: hello.live, reason: hello.live ? null : this.#snapshot.reason });
  }

  #onEvent(event: EventMessage): void {
    const payload = event.payload;
    if (event.kind === "status") this.#status(payload as StatusPayload);
    if (event.seq === null) return;
    const item = eventItem(event, event.seq);
    const events = [...this.#snapshot.events, item];
    const extra = Math.max(0, events.length - EVENTS_KEPT);
    this.#change({ events: extra ? events.slice(extra) : events, earlier: this.#snapshot.earlier + extra });
    if (item.kind === "points" && isPointsNews(payload)) {
      this.points.add(payload.points);
      const { done, failed, total } = payload;
      this.#change({ run: { ...this.#snapshot.run, points_done: done, points_failed: failed, points_total: total } });
    }
    if (item.kind === "control") this.#applied(payload, event.tick ?? null);
    if (event.kind === "error") void this.#pollRun();
  }

  #onFrame(frame: Frame): void {
    for (const listener of this.#frames.get(portKey(frame.node, frame.port)) ?? []) listener(frame);
  }

  #status(payload: StatusPayload): void {
    if (payload.live !== undefined) this.#change({ live: payload.live, reason: payload.reason ?? null });
    this.#merge(payload);
  }

  #merge(news: RunNews): void {
    const before = this.#snapshot.run.state;
    if (isFinal(before) && news.state !== undefined && news.state !== before) return;
    const { state, tick, progress, eta_s, ticks_per_s, paused, error } = news;
    // Stored and transient messages travel apart; one that is late must not turn the clock back. Only a run that was
    // handed over does: it goes on from its last checkpoint.
    const onward = tick !== undefined && tick >= this.#snapshot.run.tick;
    const again = news.resumes_at;
    const run: Run = {
      ...this.#snapshot.run,
      ...(onward && { tick, ...(progress !== undefined && { progress }) }),
      ...(again !== undefined && { tick: again, progress: again / this.#snapshot.run.ticks, eta_s: null }),
      ...(state !== undefined && { state }),
      ...(eta_s !== undefined && { eta_s }),
      ...(ticks_per_s !== undefined && { ticks_per_s }),
      ...(paused !== undefined && { paused }),
      ...(error !== undefined && { error }),
    };
    this.#change({ run });
    this.#expect();
    if (!isFinal(before) && isFinal(run.state)) {
      void this.#pollRun();
      void this.#loadResult();
    }
  }

  #applied(payload: Record<string, unknown>, tick: number | null): void {
    const target = payload.target;
    if (typeof target !== "string" || !(target in this.#snapshot.controls)) return;
    const refusal = payload.refusal as { message?: string; mend?: string } | undefined;
    const value = payload.value;
    const held = this.#snapshot.controls[target];
    if (refusal) {
      const message = `${refusal.message ?? "refused"} ${refusal.mend ?? ""}`.trim();
      this.#control(target, { value: held?.value ?? Number(value), status: { step: "refused", message } });
    } else if (typeof value === "number") {
      // A newer value of ours is on its way: its own event follows.
      if (held?.status.step === "sending" && held.value !== value) return;
      const at = typeof payload.tick === "number" ? payload.tick : tick;
      this.#control(target, { value, status: at === null ? { step: "sent" } : { step: "applied", tick: at } });
    }
  }

  #control(target: string, state: ControlState): void {
    this.#change({ controls: { ...this.#snapshot.controls, [target]: state } });
  }

  #expect(): void {
    const { run } = this.#snapshot;
    this.link.expectTraffic(run.state === "running" && !run.paused);
    this.#ask();
  }

  /** What the person's role in the workspace allows by now. */
  async #askRole(): Promise<void> {
    try {
      const here = await this.#api.get<{ may: string[] }>(this.#runUrl.replace(/runs\/[^/]+\/$/, ""));
      this.#change({ mayControl: here.may.includes("run.control") });
    } catch (problem) {
      const why = problem instanceof Error ? problem.message : String(problem);
      this.#change({ refusal: `Your role in the workspace is another one now; what it allows could not be read. ${why}` });
    }
  }

  async #pollRun(): Promise<void> {
    let run: Run;
    try {
      run = await this.#api.get<Run>(this.#runUrl);
    } catch (problem) {
      if (problem instanceof ApiProblem && [401, 403, 404].includes(problem.status)) {
        this.link.close();
        this.#change({ link: "refused", retryAt: null });
        this.#ask();
      }
      return;
    }
    const final = isFinal(this.#snapshot.run.state);
    this.#change({ run: { ...this.#snapshot.run, ...run } });
    this.#expect();
    if (!final && isFinal(run.state)) void this.#loadResult();
  }

  async #loadResult(): Promise<void> {
    if (this.#snapshot.run.state !== "succeeded") return;
    try {
      this.#change({ result: await this.#api.get<RunResult>(this.#snapshot.run.urls.result), resultProblem: null });
    } catch (problem) {
      this.#change({ resultProblem: problem instanceof Error ? problem.message : String(problem) });
    }
  }

  #change(part: Partial<Snapshot>): void {
    this.#snapshot = { ...this.#snapshot, ...part };
    if (this.#publishing) return;
    this.#publishing = true;
    // Many messages in one turn of the event loop are one rendering.
    queueMicrotask(() => {
      this.#publishing = false;
      for (const listener of this.#listeners) listener();
    });
  }
}

/** An event as a line of the log. */
export function eventItem(event: EventMessage, seq: number): EventItem {
  const payload = event.payload;
  const kind = typeof payload.type === "string" ? payload.type : event.kind;
  const text = (name: string) => (typeof payload[name] === "string" ? (payload[name] as string) : null);
  return {
    seq,
    kind,
    level: text("level") ?? (event.kind === "error" ? "error" : "info"),
    tick: event.tick ?? null,
    node: text("node"),
    text: describe(kind, payload),
  };
}

function describe(kind: string, payload: Record<string, unknown>): string {
  const message = typeof payload.message === "string" ? payload.message : "";
  const mend = typeof payload.mend === "string" && payload.mend ? ` ${payload.mend}` : "";
  if (message) return message + mend;
  if (kind === "points" && isPointsNews(payload)) {
    const { points, done, failed, total } = payload;
    return `${points.length} more: ${done} of ${total} done${failed ? `, ${failed} failed` : ""}`;
  }
  if (kind === "control") {
    const refusal = payload.refusal as { message?: string } | undefined;
    const change = `${String(payload.target)} set to ${String(payload.value)}`;
    return refusal ? `${change}: refused, ${refusal.message ?? ""}` : change;
  }
  if (kind === "status" && typeof payload.resumes_at === "number") {
    return `${String(payload.reason)} The run goes on from tick ${payload.resumes_at}.`;
  }
  if (kind === "status" && typeof payload.state === "string") {
    return payload.paused === true ? "Paused" : `Run is ${payload.state}`;
  }
  if (kind === "status" && typeof payload.paused === "boolean") return payload.paused ? "Paused" : "Resumed";
  const rest = Object.entries(payload).filter(([key]) => key !== "type" && key !== "level" && key !== "node");
  return rest.map(([key, value]) => `${key} ${typeof value === "object" ? JSON.stringify(value) : String(value)}`).join(", ");
}
