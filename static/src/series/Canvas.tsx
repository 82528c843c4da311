import { useEffect, useRef } from "react";
import { onThemeChange } from "../site/theme";

export interface Area {
  context: CanvasRenderingContext2D;
  width: number;
  height: number;
}

interface CanvasProps extends Omit<React.CanvasHTMLAttributes<HTMLCanvasElement>, "width" | "height"> {
  /** Height in CSS pixels; the width is that of the box around it. */
  tall: number;
  draw: (area: Area) => void;
}

/** A drawing as wide as its place, drawn anew when what it shows, its size or the theme changes. */
export function Canvas({ tall, draw, ...rest }: CanvasProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const element = canvas.current;
    if (!element) return;
    const paint = () => {
      const context = element.getContext("2d");
      if (!context) return;
      const ratio = window.devicePixelRatio || 1;
      const width = element.clientWidth;
      element.width = Math.round(width * ratio);
      element.height = Math.round(tall * ratio);
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      context.clearRect(0, 0, width, tall);
      draw({ context, width, height: tall });
      element.dataset.drawn = String(Number(element.dataset.drawn ?? 0) + 1);
    };
    paint();
    const resized = new ResizeObserver(paint);
    resized.observe(element);
    const forget = onThemeChange(paint);
    return () => {
      resized.disconnect();
      forget();
    };
  }, [draw, tall]);
  return <canvas ref={canvas} className="series-canvas" style={{ height: tall }} {...rest} />;
}
