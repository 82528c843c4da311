import { useEffect, useRef, useState } from "react";
import { toast } from "../site/toasts";
import { type Control, isFinal } from "../api/run";
import { decimals, whole } from "../shared/format";
import { useLive, useSnapshot } from "./context";
import type { ControlStatus } from "./store";

const SEND_AFTER_MS = 120;

/** The preset's controls; what is moved acts on the running graph. */
export function ControlPanel() {
  const { store } = useLive();
  const { run, mayControl } = useSnapshot();
  const controls = run.preset?.controls ?? [];
  const actions = run.preset?.actions ?? [];
  const active = run.state === "running" && mayControl;

  const fire = async (target: string, label: string) => {
    try {
      await store.trigger(target);
      toast(`Sent: ${label}`);
    } catch (problem) {
      toast(problem instanceof Error ? problem.message : String(problem), "error");
    }
  };

  return (
    <section className="panel" aria-labelledby="controls-title">
      <div className="panel-head">
        <h2 id="controls-title">Controls</h2>
        {isFinal(run.state) && <span className="panel-note">the run is over</span>}
        {!isFinal(run.state) && !mayControl && (
          <span className="panel-note" role="status">
            your role here is to look
          </span>
        )}
      </div>
      <div className="panel-body stack">
        {controls.length === 0 && <p className="panel-note">This graph declares no controls.</p>}
        {controls.map((control) => (
          <Slider key={control.target} control={control} disabled={!active} />
        ))}
        {actions.map((action) => (
          <div key={`${action.node}.${action.trigger}`}>
            <button
              type="button"
              className="button small"
              disabled={!active}
              title={action.help ?? ""}
              onClick={() => void fire(`${action.node}.${action.trigger}`, action.label)}
            >
              {action.label}
            </button>
          </div>
        ))}
      </div>
    </section>
  );
}

function Slider({ control, disabled }: { control: Control; disabled: boolean }) {
  const { store } = useLive();
  const { controls } = useSnapshot();
  const held = controls[control.target];
  const base = store.base(control.target);
  const [dragged, setDragged] = useState<number | null>(null);
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);

  if (held === undefined || base === undefined) {
    return (
      <p className="callout bad">
        {control.label}: <code>{control.target}</code> is no number of this graph, so it cannot be a slider.
      </p>
    );
  }

  const { min = 0, max = 1, step = 0.01 } = { min: control.min ?? 0, max: control.max ?? 1, step: control.step ?? 0.01 };
  const digits = decimals(step);
  const value = dragged ?? held.value;
  const id = `control-${control.target.replace(".", "-")}`;

  // Keys and drags come in bursts; the last value of a burst is sent.
  const send = (next: number) => {
    setDragged(next);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => {
      void store.setControl(control.target, next).finally(() => setDragged(null));
    }, SEND_AFTER_MS);
  };

  const share = (at: number) => `${((at - min) / (max - min)) * 100}%`;
  const ref = (element: HTMLDivElement | null) => {
    element?.style.setProperty("--value", share(value));
    element?.style.setProperty("--base", share(base));
  };

  return (
    <div className="slider" ref={ref}>
      <div className="slider-head">
        <label htmlFor={id}>{control.label}</label>
        <output htmlFor={id} className="num">
          {value.toFixed(digits)}
        </output>
      </div>
      <input
        id={id}
        type="range"
        min={min}
        max={max}
        step={step}
        value={value}
        disabled={disabled}
        aria-describedby={`${id}-status`}
        data-target={control.target}
        onChange={(event) => send(Number(event.currentTarget.value))}
      />
      <div className="slider-foot">
        <span id={`${id}-status`} className={`slider-status ${held.status.step}`} role="status">
          {statusText(dragged === null ? held.status : { step: "sending" }, base, digits)}
        </span>
        <button
          type="button"
          className="link-button"
          disabled={disabled || value === base}
          onClick={() => send(base)}
          aria-label={`Revert ${control.label} to ${base.toFixed(digits)}`}
        >
          Revert
        </button>
      </div>
    </div>
  );
}

function statusText(status: ControlStatus, base: number, digits: number): string {
  switch (status.step) {
    case "base":
      return `as in the graph, ${base.toFixed(digits)}`;
    case "sending":
      return "sending…";
    case "sent":
      return "sent, waiting for the worker";
    case "applied":
      return `applied at tick ${whole(status.tick)}`;
    case "refused":
      return `refused: ${status.message}`;
  }
}
