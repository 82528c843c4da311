// The recent states of some oscillators, ready to be drawn as fading lines, in memory of a fixed size.

const FORGET = 0.998;

/** Slots of one moment each; slot s holds the three coordinates of every cell, one after another. */
export class TrailRing {
  readonly slots: number;
  readonly cells: number;
  readonly positions: Float32Array;
  /** Speed of each cell at each slot, in state units per tick. */
  readonly speeds: Float32Array;
  /** Largest coordinate on each axis, without sign; what is long past fades out of it. */
  readonly extent: [number, number, number] = [0, 0, 0];
  #head = -1;
  #length = 0;
  #lastTick = -1;
  #topSpeed = 0;
  #usualStep = 0;
  readonly #breaks: Uint8Array;

  constructor(cells: number, slots: number) {
    this.cells = cells;
    this.slots = slots;
    this.positions = new Float32Array(slots * cells * 3);
    this.speeds = new Float32Array(slots * cells);
    this.#breaks = new Uint8Array(slots);
  }

  get length(): number {
    return this.#length;
  }

  /** The slot written last; -1 before the first. */
  get head(): number {
    return this.#head;
  }

  /** A speed that nearly all are below, following slow changes. */
  get topSpeed(): number {
    return this.#topSpeed;
  }

  /** Adds one moment from `values[offset …]`. Gives the slot, or -1 if the tick was seen before. */
  push(tick: number, values: ArrayLike<number>, offset: number): number {
    if (tick <= this.#lastTick) return -1;
    const previous = this.#head;
    const gap = tick - this.#lastTick;
    const slot = (this.#head + 1) % this.slots;
    for (const axis of [0, 1, 2] as const) this.extent[axis] *= FORGET;
    let travelled = 0;
    let fastest = 0;
    for (let cell = 0; cell < this.cells; cell += 1) {
      let square = 0;
      for (let axis = 0; axis < 3; axis += 1) {
        const value = values[offset + cell * 3 + axis] ?? Number.NaN;
        if (previous >= 0) {
          const before = this.positions[(previous * this.cells + cell) * 3 + axis] ?? Number.NaN;
          square += (value - before) ** 2;
        }
        this.positions[(slot * this.cells + cell) * 3 + axis] = value;
        this.extent[axis as 0 | 1 | 2] = Math.max(this.extent[axis as 0 | 1 | 2], Math.abs(value));
      }
      const step = Math.sqrt(square);
      const speed = previous >= 0 ? step / gap : 0;
      this.speeds[slot * this.cells + cell] = speed;
      travelled += speed;
      fastest = Math.max(fastest, speed);
    }
    const mean = travelled / this.cells;
    // A trial starts from a stored state: all cells jump at once, and no line may cross that jump.
    const jumped = this.#usualStep > 0 && mean > 8 * this.#usualStep;
    this.#breaks[slot] = previous < 0 || jumped ? 1 : 0;
    if (jumped) {
      this.speeds.copyWithin(slot * this.cells, previous * this.cells, (previous + 1) * this.cells);
    } else if (previous >= 0) {
      this.#usualStep = this.#usualStep === 0 ? mean : this.#usualStep + (mean - this.#usualStep) * 0.05;
      this.#topSpeed = Math.max(fastest, this.#topSpeed * 0.995);
    }
    this.#head = slot;
    this.#lastTick = tick;
    this.#length = Math.min(this.#length + 1, this.slots);
    return slot;
  }

  /** The runs of slots that are joined by lines, as [first slot, number of steps] where step k joins
   * slot first+k to first+k+1, never past the end of the memory. */
  strips(): [number, number][] {
    const found: [number, number][] = [];
    if (this.#length < 2) return found;
    const oldest = (this.#head - this.#length + 1 + this.slots) % this.slots;
    let first = oldest;
    let steps = 0;
    const close = () => {
      if (steps > 0) found.push([first, steps]);
    };
    for (let i = 1; i < this.#length; i += 1) {
      const slot = (oldest + i) % this.slots;
      if (this.#breaks[slot]) {
        close();
        first = slot;
        steps = 0;
        continue;
      }
      steps += 1;
      // The step into slot 0 starts at the last slot; the next strip starts at 0.
      if (slot === 0) {
        close();
        first = 0;
        steps = 0;
      }
    }
    close();
    return found;
  }
}
