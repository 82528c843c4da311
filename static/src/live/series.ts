// The recent past of one port as columns, in memory of a fixed size.

/** A ring of rows: one time and `width` values each. */
export class SeriesRing {
  readonly capacity: number;
  readonly width: number;
  readonly #times: Float64Array;
  readonly #values: Float64Array;
  #next = 0;
  #length = 0;
  #lastTick = -1;

  constructor(width: number, capacity: number) {
    this.width = width;
    this.capacity = capacity;
    this.#times = new Float64Array(capacity);
    this.#values = new Float64Array(capacity * width);
  }

  get length(): number {
    return this.#length;
  }

  /** Adds the row of a tick. A tick that is not after the last one is dropped: it was seen before a reconnect. */
  push(tick: number, seconds: number, row: ArrayLike<number>, offset = 0): void {
    if (tick <= this.#lastTick) return;
    this.#lastTick = tick;
    this.#times[this.#next] = seconds;
    for (let i = 0; i < this.width; i += 1) this.#values[this.#next * this.width + i] = row[offset + i] ?? Number.NaN;
    this.#next = (this.#next + 1) % this.capacity;
    this.#length = Math.min(this.#length + 1, this.capacity);
  }

  /** The newest row; null when there is none. */
  last(): number[] | null {
    if (this.#length === 0) return null;
    const at = (this.#next + this.capacity - 1) % this.capacity;
    return Array.from(this.#values.subarray(at * this.width, (at + 1) * this.width));
  }

  /** Times and one column per value, oldest first. */
  columns(): [Float64Array, ...Float64Array[]] {
    const n = this.#length;
    const start = (this.#next + this.capacity - n) % this.capacity;
    const times = new Float64Array(n);
    const columns = Array.from({ length: this.width }, () => new Float64Array(n));
    for (let i = 0; i < n; i += 1) {
      const at = (start + i) % this.capacity;
      times[i] = this.#times[at] ?? Number.NaN;
      for (let k = 0; k < this.width; k += 1) {
        const column = columns[k];
        if (column) column[i] = this.#values[at * this.width + k] ?? Number.NaN;
      }
    }
    return [times, ...columns];
  }
}
