import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { isFinal } from "../../api/run";
import { token } from "../../shared/colour";
import { percent } from "../../shared/format";
import { onThemeChange } from "../../site/theme";
import { useFrames, useLive, useSnapshot, useVisible } from "../context";
import { DETECTOR_CLASSES, type GateClass, MAP_CLASSES, legendClasses } from "../gates";
import { numbers } from "../protocol";
import { type View, parameter } from "../wiring";
import { NoData } from "./NoData";

const MAP_RATE = 10;
const PROBS_RATE = 10;
const CELL = 12;

/** Which cell carries which gate, on the array's own grid, and what the detector thinks of the recording. */
export function GateMapView({ view }: { view: View }) {
  const { clock, declarations } = useLive();
  const [box, visible] = useVisible<HTMLDivElement>();
  const canvas = useRef<HTMLCanvasElement>(null);
  const cells = useRef<Int8Array | null>(null);
  const drawn = useRef(0);
  const [counts, setCounts] = useState<number[] | null>(null);
  const [probs, setProbs] = useState<number[] | null>(null);
  const [pointed, setPointed] = useState<string | null>(null);
  const rows = Number(parameter(view.node, declarations, "rows"));
  const cols = Number(parameter(view.node, declarations, "cols"));
  const legend = parameter(view.node, declarations, "legend");
  const classes = useMemo(() => legendClasses(legend, MAP_CLASSES), [legend]);
  const probsClasses = legendClasses(parameter(view.node, declarations, "probs_legend"), DETECTOR_CLASSES);
  const mapSource = view.sources.find((source) => source.input === "cells");
  const probsSource = view.sources.find((source) => source.input === "probs");

  const { result, run } = useSnapshot();
  const over = isFinal(run.state);

  const show = useCallback(
    (values: ArrayLike<number | bigint>, offset: number) => {
      const next = new Int8Array(rows * cols);
      const count = new Array<number>(classes.length).fill(0);
      for (let i = 0; i < next.length; i += 1) {
        const cell = Math.round(Number(values[offset + i]));
        next[i] = cell;
        if (count[cell] !== undefined) count[cell] += 1;
      }
      cells.current = next;
      setCounts((before) => (before && before.every((one, i) => one === count[i]) ? before : count));
    },
    [rows, cols, classes],
  );

  const draw = useCallback(() => {
    const context = canvas.current?.getContext("2d");
    const values = cells.current;
    if (!context || !values) return;
    const colours = classes.map((one) => token(one.token));
    context.clearRect(0, 0, cols * CELL, rows * CELL);
    for (let i = 0; i < rows * cols; i += 1) {
      context.fillStyle = colours[values[i] ?? 0] ?? colours[0] ?? "";
      context.fillRect((i % cols) * CELL + 0.5, Math.floor(i / cols) * CELL + 0.5, CELL - 1, CELL - 1);
    }
    drawn.current += 1;
    if (box.current) box.current.dataset.framesDrawn = String(drawn.current);
  }, [box, rows, cols, classes]);

  useFrames(
    mapSource ? { node: mapSource.node, port: mapSource.port, rate: MAP_RATE, decimation: 1, take: null } : null,
    visible,
    (frame) => {
      if (frame.kind !== "frame" || frame.codec !== "raw") return;
      const [n = 0, size = 0] = frame.shape;
      if (n === 0 || size !== rows * cols) return;
      show(numbers(frame), (n - 1) * size);
      clock.mark(draw);
    },
  );

  useFrames(
    probsSource ? { node: probsSource.node, port: probsSource.port, rate: PROBS_RATE, decimation: 1, take: null } : null,
    visible,
    (frame) => {
      if (frame.kind !== "frame" || frame.codec !== "raw") return;
      const size = frame.shape[1] ?? 0;
      const all = numbers(frame);
      setProbs(Array.from(all.subarray(all.length - size), Number));
    },
  );

  // A finished run keeps its last map.
  const mapName = mapSource && `${mapSource.node}.${mapSource.port}`;
  useEffect(() => {
    const last = mapName && result?.outputs[mapName];
    if (!Array.isArray(last) || last.length !== rows * cols) return;
    show(last as number[], 0);
    clock.mark(draw);
  }, [result, mapName, rows, cols, show, clock, draw]);

  useEffect(() => onThemeChange(() => clock.mark(draw)), [clock, draw]);
  // The canvas stands in the page only from the first frame on.
  useEffect(() => {
    if (counts !== null) clock.mark(draw);
  }, [counts, clock, draw]);

  const point = (event: React.PointerEvent<HTMLCanvasElement>) => {
    const place = event.currentTarget.getBoundingClientRect();
    const col = Math.floor(((event.clientX - place.left) / place.width) * cols);
    const row = Math.floor(((event.clientY - place.top) / place.height) * rows);
    const cell = row * cols + col;
    const kind = cells.current?.[cell];
    if (kind === undefined || col < 0 || col >= cols) return;
    setPointed(`Cell ${cell} (row ${row}, column ${col}): ${classes[kind]?.name ?? "of no class"}`);
  };

  return (
    <section className="panel view" aria-labelledby={`view-${view.node.id}`}>
      <div className="panel-head">
        <h2 id={`view-${view.node.id}`}>{view.title}</h2>
        <span className="panel-note mono">{mapSource ? `${mapSource.node}.${mapSource.port}` : ""}</span>
      </div>
      <div className="panel-body gate-map" ref={box} data-view="gate-map" data-frames-drawn="0">
        <div className="gate-grid">
          {counts === null ? (
            <NoData hint="The map fills once the training trials are in." />
          ) : (
            <canvas
              ref={canvas}
              width={cols * CELL}
              height={rows * CELL}
              role="img"
              aria-label={`Gate of each of ${rows} by ${cols} cells: ${summary(classes, counts)}`}
              onPointerMove={point}
              onPointerLeave={() => setPointed(null)}
            />
          )}
        </div>
        <div className="gate-side">
          <h3>Cells by gate</h3>
          <ul className="gate-legend num">
            {classes.map((one, i) => (
              <li key={one.name}>
                <i className="swatch" data-gate={one.name} aria-hidden="true" />
                <span>{one.name}</span>
                <span className="end">{counts ? counts[i] : "no data"}</span>
              </li>
            ))}
          </ul>
          <p className="panel-note pointed">{pointed ?? (counts ? "Point at a cell to read it." : "")}</p>
          {probsSource && (
            <>
              <h3>
                Detector <span className="panel-note mono">{`${probsSource.node}.${probsSource.port}`}</span>
              </h3>
              {probs ? (
                <ul className="probs num">
                  {probsClasses.map((one, i) => (
                    <li key={one.name}>
                      <span>{one.name}</span>
                      <meter min={0} max={1} value={probs[i] ?? 0} aria-label={`${one.name} probability`}>
                        {percent(probs[i] ?? 0)}
                      </meter>
                      <span className="end">{percent(probs[i] ?? 0)}</span>
                    </li>
                  ))}
                </ul>
              ) : (
                <p className="panel-note">{over ? "No data: the run is over." : "No data. It speaks once its window is full."}</p>
              )}
            </>
          )}
        </div>
      </div>
    </section>
  );
}

function summary(classes: readonly GateClass[], counts: readonly number[]): string {
  return classes.map((one, i) => `${counts[i] ?? 0} ${one.name}`).join(", ");
}
