import { createContext, useContext, useEffect, useRef, useState, useSyncExternalStore } from "react";
import type { DrawClock } from "./clock";
import type { FrameListener, RunStore, Snapshot } from "./store";
import type { Subscription } from "./protocol";
import type { GraphSpec } from "../api/run";
import type { Point } from "../series/points";
import type { Declarations } from "./wiring";

export interface LiveContextValue {
  store: RunStore;
  clock: DrawClock;
  spec: GraphSpec;
  /** Whether the run reproduces another, so that there is a verdict. */
  reproduces: boolean;
  declarations: Declarations;
  /** As text: seeds go up to 2^63, which a JavaScript number does not hold. */
  seed: string;
}

export const LiveContext = createContext<LiveContextValue | null>(null);

export function useLive(): LiveContextValue {
  const value = useContext(LiveContext);
  if (!value) throw new Error("this component must stand inside a LiveContext");
  return value;
}

export function useSnapshot(): Snapshot {
  const { store } = useLive();
  return useSyncExternalStore(store.subscribe, store.snapshot);
}

/** The points of a sweep or fit that are done, and why some could not be read. */
export function usePoints(): { points: readonly Point[]; problem: string | null } {
  const { store } = useLive();
  const points = useSyncExternalStore(store.points.subscribe, store.points.list);
  return { points, problem: store.points.problem() };
}

/** Whether an element can be seen: in the window's view (or nearly) and in a tab that is not hidden. */
export function useVisible<T extends Element>(): [React.RefObject<T | null>, boolean] {
  const ref = useRef<T>(null);
  const [inView, setInView] = useState(false);
  const [tabShown, setTabShown] = useState(() => document.visibilityState === "visible");
  useEffect(() => {
    if (!ref.current) return;
    const observer = new IntersectionObserver(
      (entries) => setInView(entries.some((entry) => entry.isIntersecting)),
      { rootMargin: "120px" },
    );
    observer.observe(ref.current);
    return () => observer.disconnect();
  }, []);
  useEffect(() => {
    const follow = () => setTabShown(document.visibilityState === "visible");
    document.addEventListener("visibilitychange", follow);
    return () => document.removeEventListener("visibilitychange", follow);
  }, []);
  return [ref, inView && tabShown];
}

/** Hears the frames of a port while `active`; nothing is asked of the server otherwise. */
export function useFrames(subscription: Subscription | null, active: boolean, listener: FrameListener): void {
  const { store } = useLive();
  const latest = useRef(listener);
  latest.current = listener;
  const key = subscription && JSON.stringify(subscription);
  useEffect(() => {
    if (!key || !active) return;
    return store.watch(JSON.parse(key) as Subscription, (frame) => latest.current(frame));
  }, [store, key, active]);
}

/** A time that moves on every `ms`, for what is counted in seconds. */
export function useNow(ms: number): number {
  const [now, setNow] = useState(() => performance.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(performance.now()), ms);
    return () => clearInterval(timer);
  }, [ms]);
  return now;
}
