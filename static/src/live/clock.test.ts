import { describe, expect, it, vi } from "vitest";
import { DrawClock } from "./clock";

function manual() {
  let waiting: FrameRequestCallback[] = [];
  const request = vi.fn((callback: FrameRequestCallback) => waiting.push(callback));
  const tick = (now: number) => {
    const due = waiting;
    waiting = [];
    for (const callback of due) callback(now);
  };
  return { clock: new DrawClock(request), request, tick };
}

describe("DrawClock", () => {
  it("draws a view once per animation frame however many frames arrive", () => {
    const { clock, request, tick } = manual();
    const view = vi.fn();
    for (let i = 0; i < 50; i += 1) clock.mark(view);
    expect(request).toHaveBeenCalledTimes(1);
    tick(0);
    tick(16);
    expect(view).toHaveBeenCalledTimes(1);
    expect(clock.drawn).toBe(1);
  });

  it("asks for no animation frame while nothing arrives, and draws none that was forgotten", () => {
    const { clock, request, tick } = manual();
    const view = vi.fn();
    expect(request).not.toHaveBeenCalled();
    clock.mark(view);
    clock.forget(view);
    tick(0);
    expect(view).not.toHaveBeenCalled();
    expect(clock.drawn).toBe(0);
  });

  it("measures the rate over two seconds and says null, not zero, when nothing was drawn", () => {
    const { clock, tick } = manual();
    expect(clock.rate(0)).toBeNull();
    for (let i = 0; i < 60; i += 1) {
      clock.mark(() => {});
      tick(i * (1000 / 30));
    }
    expect(clock.rate(1990)).toBe(30);
    expect(clock.rate(60_000)).toBeNull();
  });
});
