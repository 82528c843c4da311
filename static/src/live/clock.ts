// Drawing is decoupled from arrival: frames mark a view dirty, the next animation frame draws each dirty view once.

const WINDOW_MS = 2000;

export class DrawClock {
  readonly #dirty = new Set<() => void>();
  readonly #stamps: number[] = [];
  readonly #request: (callback: FrameRequestCallback) => number;
  #pending = false;
  #drawn = 0;

  constructor(request: (callback: FrameRequestCallback) => number = (callback) => requestAnimationFrame(callback)) {
    this.#request = request;
  }

  /** How many animation frames have drawn new data since the page was opened. */
  get drawn(): number {
    return this.#drawn;
  }

  /** Draws `view` once at the next animation frame, however often it is asked before. */
  mark(view: () => void): void {
    this.#dirty.add(view);
    if (this.#pending) return;
    this.#pending = true;
    this.#request((now) => this.#draw(now));
  }

  forget(view: () => void): void {
    this.#dirty.delete(view);
  }

  /** Animation frames a second that drew new data, over the last two seconds; null when none did. */
  rate(now: number): number | null {
    while (this.#stamps.length > 0 && (this.#stamps[0] ?? now) < now - WINDOW_MS) this.#stamps.shift();
    if (this.#stamps.length === 0) return null;
    return (this.#stamps.length * 1000) / WINDOW_MS;
  }

  #draw(now: number): void {
    this.#pending = false;
    const views = [...this.#dirty];
    this.#dirty.clear();
    if (views.length === 0) return;
    for (const view of views) view();
    this.#drawn += 1;
    this.#stamps.push(now);
    // Nobody may ask for the rate for long; what is outside the window is not kept.
    while ((this.#stamps[0] ?? now) < now - WINDOW_MS) this.#stamps.shift();
  }
}
