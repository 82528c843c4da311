import { useEffect, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { token } from "../shared/colour";
import { onThemeChange } from "../site/theme";

interface CurveProps {
  x: readonly number[];
  y: readonly (number | null)[];
  xName: string;
  yName: string;
  logX?: boolean;
  logY?: boolean;
  /** Join the points by a line. */
  line: boolean;
}

const TALL = 280;

/** One number against another. */
export function Curve({ x, y, xName, yName, logX = false, logY = false, line }: CurveProps) {
  const holder = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const data = useRef<uPlot.AlignedData>([[], []]);
  data.current = [x as number[], y as (number | null)[]];

  useEffect(() => {
    const box = holder.current;
    if (!box) return;
    const build = () => {
      plot.current?.destroy();
      plot.current = new uPlot(options(box.clientWidth, { xName, yName, logX, logY, line }), data.current, box);
    };
    build();
    const fit = new ResizeObserver(() => plot.current?.setSize({ width: box.clientWidth, height: TALL }));
    fit.observe(box);
    const forget = onThemeChange(build);
    return () => {
      fit.disconnect();
      forget();
      plot.current?.destroy();
      plot.current = null;
    };
  }, [xName, yName, logX, logY, line]);

  useEffect(() => {
    plot.current?.setData(data.current);
    if (holder.current) holder.current.dataset.points = String(x.length);
  }, [x, y]);

  return (
    <div
      ref={holder}
      className="plot-canvas"
      role="img"
      data-view="curve"
      aria-label={`${yName} against ${xName}, ${x.length} points. The table has the numbers.`}
    />
  );
}

function options(width: number, { xName, yName, logX, logY, line }: Omit<CurveProps, "x" | "y">): uPlot.Options {
  const ink = token("--ink-2");
  const grid = { stroke: token("--line"), width: 1 };
  const font = '12px "Instrument Sans Variable", sans-serif';
  const colour = token("--lobe-a");
  return {
    width,
    height: TALL,
    scales: { x: { time: false, distr: logX ? 3 : 1 }, y: { distr: logY ? 3 : 1 } },
    axes: [
      { stroke: ink, grid, ticks: grid, font, labelFont: font, label: xName, size: 34, labelSize: 20 },
      { stroke: ink, grid, ticks: grid, font, labelFont: font, label: yName, size: 62, labelSize: 20 },
    ],
    series: [
      { label: xName },
      { label: yName, stroke: colour, width: line ? 1.6 : 0, points: { show: true, size: 5, fill: colour } },
    ],
  };
}
