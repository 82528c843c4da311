// The points of a sweep, or the iterations of a fit, as they become done.
import type { ApiClient } from "../api/client";
import type { RunError } from "../api/run";

export type Value = number | string | boolean | null;

export interface Point {
  index: number;
  /** What differs from the graph, and the seed. */
  params: Readonly<Record<string, Value>>;
  seed: number;
  /** Null when the point failed. */
  metrics: Readonly<Record<string, number | null>> | null;
  error: RunError | null;
}

export interface PointCounts {
  done: number;
  failed: number;
  total: number;
}

export interface PointsNews extends PointCounts {
  points: readonly RawPoint[];
}

interface RawPoint {
  index: number;
  params: Record<string, Value>;
  seed: number;
  metrics?: Record<string, number | null>;
  error?: RunError | null;
}

interface Page {
  next: string | null;
  results: RawPoint[];
}

const PUBLISH_MS = 150;

export function isPointsNews(payload: Record<string, unknown>): payload is Record<string, unknown> & PointsNews {
  return Array.isArray(payload.points) && typeof payload.total === "number";
}

/** Points by number, each once, however often it is told. React reads immutable lists, a few times a second at most. */
export class PointStore {
  readonly #points = new Map<number, Point>();
  readonly #listeners = new Set<() => void>();
  #list: readonly Point[] = [];
  #problem: string | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  readonly list = (): readonly Point[] => this.#list;

  readonly problem = (): string | null => this.#problem;

  add(points: readonly RawPoint[]): void {
    for (const one of points) {
      if (this.#points.has(one.index)) continue;
      const error = one.error ?? null;
      this.#points.set(one.index, {
        index: one.index,
        params: one.params,
        seed: one.seed,
        metrics: error ? null : (one.metrics ?? {}),
        error,
      });
    }
    this.#publish();
  }

  /** Reads the points that no event tells: those that were carried over from another run. */
  async load(api: ApiClient, url: string): Promise<void> {
    try {
      let next: string | null = `${url}?page_size=1000`;
      while (next) {
        const page: Page = await api.get<Page>(next);
        this.add(page.results);
        next = page.next;
      }
    } catch (problem) {
      this.#problem = problem instanceof Error ? problem.message : String(problem);
      this.#publish();
    }
  }

  #publish(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#list = [...this.#points.values()].sort((a, b) => a.index - b.index);
      for (const listener of this.#listeners) listener();
    }, PUBLISH_MS);
  }
}

/** The value of a point on an axis, a metric's included; null when it has none. */
export function valueOn(point: Point, column: string): Value {
  if (column === "seed") return point.seed;
  if (column in point.params) return point.params[column] ?? null;
  return point.metrics?.[column] ?? null;
}
