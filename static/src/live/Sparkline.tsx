import { useCallback, useRef } from "react";
import { token } from "../shared/colour";
import { useFrames, useLive, useVisible } from "./context";
import { numbers } from "./protocol";
import { SeriesRing } from "./series";
import { type Source, outputPort } from "./wiring";

const WIDTH = 170;
const HEIGHT = 30;
const RATE = 6;
const KEPT = 240;
const SCALE = 2;

/** The recent past of one port of a node, small: the scalar, or the first element of a vector. */
export function Sparkline({ source }: { source: Source }) {
  const { clock, spec, declarations } = useLive();
  const [box, visible] = useVisible<HTMLDivElement>();
  const canvas = useRef<HTMLCanvasElement>(null);
  const ring = useRef(new SeriesRing(1, KEPT));
  const isScalar = outputPort(spec, declarations, source)?.kind === "scalar";

  const draw = useCallback(() => {
    const context = canvas.current?.getContext("2d");
    if (!context) return;
    const [, values] = ring.current.columns();
    if (!values || values.length < 2) return;
    let low = Number.POSITIVE_INFINITY;
    let high = Number.NEGATIVE_INFINITY;
    for (const value of values) {
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
    const span = high - low || 1;
    context.setTransform(SCALE, 0, 0, SCALE, 0, 0);
    context.clearRect(0, 0, WIDTH, HEIGHT);
    context.beginPath();
    values.forEach((value, i) => {
      const x = (i / (values.length - 1)) * WIDTH;
      const y = HEIGHT - 3 - ((value - low) / span) * (HEIGHT - 6);
      if (i === 0) context.moveTo(x, y);
      else context.lineTo(x, y);
    });
    context.strokeStyle = token("--accent");
    context.lineWidth = 1.3;
    context.stroke();
  }, []);

  useFrames(
    { node: source.node, port: source.port, rate: RATE, decimation: isScalar ? 1 : 2, take: isScalar ? null : 1 },
    visible,
    (frame) => {
      if (frame.kind === "scalar") {
        frame.ticks.forEach((tick, i) => ring.current.push(tick, tick, frame.values, i));
      } else if (frame.codec === "raw" && frame.dtype !== "i8") {
        const values = numbers(frame);
        if (values instanceof BigInt64Array) return;
        const width = values.length / Math.max(frame.ticks.length, 1);
        frame.ticks.forEach((tick, i) => ring.current.push(tick, tick, values, i * width));
      }
      clock.mark(draw);
    },
  );

  return (
    <div className="gnode-spark" ref={box} title={`${source.node}.${source.port}${isScalar ? "" : ", element 0"}`}>
      <canvas ref={canvas} width={WIDTH * SCALE} height={HEIGHT * SCALE} aria-hidden="true" />
    </div>
  );
}
