import { useCallback, useEffect, useRef, useState } from "react";
import { measured } from "../../shared/format";
import { onThemeChange } from "../../site/theme";
import { useFrames, useLive, useVisible } from "../context";
import { numbers } from "../protocol";
import { TrailRing } from "../trail";
import { type View, parameter } from "../wiring";
import { NoData } from "./NoData";
import type { PhaseScene } from "./PhaseScene";
import { isSoftwareRendered } from "./rendering";

/** Cells and frames a second; less where the processor has to draw, which may be the one that runs the graph. */
const CARD = { cells: 64, rate: 30 };
const PROCESSOR = { cells: 32, rate: 15 };
const TURN = Math.PI / 24;

interface Legend {
  extent: [number, number, number];
  topSpeed: number;
  cells: number;
}

/** Trails of the cells' states in (x, y, z). */
export function PhaseView({ view }: { view: View }) {
  const { clock, declarations } = useLive();
  const [box, visible] = useVisible<HTMLDivElement>();
  const canvas = useRef<HTMLCanvasElement>(null);
  const trail = useRef<TrailRing | null>(null);
  const scene = useRef<PhaseScene | null>(null);
  const drawn = useRef(0);
  const [shape, setShape] = useState<number | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [legend, setLegend] = useState<Legend | null>(null);
  const source = view.sources[0];
  const [software] = useState(isSoftwareRendered);
  const { cells, rate } = software ? PROCESSOR : CARD;
  const slots = Number(parameter(view.node, declarations, "trail") ?? 500);

  const draw = useCallback(() => {
    if (!scene.current) return;
    scene.current.draw();
    drawn.current += 1;
    if (box.current) box.current.dataset.framesDrawn = String(drawn.current);
  }, [box]);

  useFrames(
    source ? { node: source.node, port: source.port, rate, decimation: 1, take: cells } : null,
    visible && problem === null,
    (frame) => {
      if (frame.kind !== "frame" || frame.codec !== "raw") return;
      const [n = 0, sent = 0, axes = 0] = frame.shape;
      if (axes !== 3) {
        setProblem(`${view.sources[0]?.node} has ${axes} state variables a cell; this view draws three.`);
        return;
      }
      if (trail.current === null || trail.current.cells !== sent) {
        trail.current = new TrailRing(sent, slots);
        setShape(sent);
      }
      const values = numbers(frame);
      if (values instanceof BigInt64Array) return;
      for (let i = 0; i < n; i += 1) trail.current.push(frame.ticks[i] ?? frame.tick, values, i * sent * 3);
      clock.mark(draw);
    },
  );

  // The scene and three.js come with the first frame.
  useEffect(() => {
    if (shape === null || !canvas.current || !trail.current) return;
    const target = canvas.current;
    const ring = trail.current;
    let stop = () => {};
    let gone = false;
    import("./PhaseScene")
      .then((module) => {
        if (gone) return;
        // Turning the view draws again, but that is no new frame.
        const redraw = () => scene.current?.draw();
        const made = new module.PhaseScene(target, ring, !software, () => clock.mark(redraw));
        scene.current = made;
        const fit = new ResizeObserver(([entry]) => {
          if (!entry) return;
          made.resize(entry.contentRect.width, entry.contentRect.height);
          clock.mark(redraw);
        });
        fit.observe(target);
        const forget = onThemeChange(() => made.recolour());
        stop = () => {
          fit.disconnect();
          forget();
          clock.forget(redraw);
          made.dispose();
          scene.current = null;
        };
      })
      .catch((error: unknown) => {
        setProblem(
          `The phase space cannot be drawn: ${error instanceof Error ? error.message : String(error)} ` +
            "Switch on hardware acceleration or use a browser with WebGL 2.",
        );
      });
    return () => {
      gone = true;
      stop();
    };
  }, [shape, clock, software]);

  useEffect(() => {
    const timer = setInterval(() => {
      const ring = trail.current;
      if (ring && ring.length > 0) setLegend({ extent: [...ring.extent], topSpeed: ring.topSpeed, cells: ring.cells });
    }, 500);
    return () => clearInterval(timer);
  }, []);

  const onKeyDown = (event: React.KeyboardEvent) => {
    const turns: Record<string, () => void> = {
      ArrowLeft: () => scene.current?.turn(-TURN, 0),
      ArrowRight: () => scene.current?.turn(TURN, 0),
      ArrowUp: () => scene.current?.turn(0, -TURN),
      ArrowDown: () => scene.current?.turn(0, TURN),
      "+": () => scene.current?.zoom(0.9),
      "-": () => scene.current?.zoom(1.1),
    };
    const turn = turns[event.key];
    if (!turn) return;
    event.preventDefault();
    turn();
  };

  return (
    <section className="panel view" aria-labelledby={`view-${view.node.id}`}>
      <div className="panel-head">
        <h2 id={`view-${view.node.id}`}>{view.title}</h2>
        <span className="panel-note mono">{source ? `${source.node}.${source.port}` : ""}</span>
      </div>
      <div className="phase-box" ref={box} data-view="phase" data-frames-drawn="0">
        {problem ? (
          <div className="no-data">
            <strong>Not drawn</strong>
            <span>{problem}</span>
          </div>
        ) : (
          <>
            <canvas
              ref={canvas}
              hidden={shape === null}
              tabIndex={0}
              role="img"
              aria-label="Phase space of the cells. Arrow keys turn it, plus and minus change the distance."
              onKeyDown={onKeyDown}
            />
            {shape === null && <NoData />}
          </>
        )}
      </div>
      {legend && (
        <div className="phase-legend num">
          <span>
            {legend.cells} cells · x ±{measured(legend.extent[0])} · y ±{measured(legend.extent[1])} · z ±
            {measured(legend.extent[2])}
          </span>
          <span className="speed-scale">
            slow <i aria-hidden="true" /> {measured(legend.topSpeed)} per tick
          </span>
        </div>
      )}
    </section>
  );
}
