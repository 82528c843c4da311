import { type ReactNode, useEffect, useId, useMemo, useRef, useState } from "react";
import type { ApiClient } from "../api/client";
import { ApiProblem } from "../api/problem";
import type { Control, GraphSpec, ParameterDeclaration } from "../api/run";
import { type Declarations, parameter } from "../live/wiring";
import { whole } from "../shared/format";
import type { AxisDesign, FitDesign, MetricDesign, SweepDesign } from "../series/design";

export interface StudyData {
  graph: string;
  spec: GraphSpec;
  declarations: Declarations;
  controls: readonly Control[];
  /** Output ports that say one number, and those a gradient may come from. */
  scalars: readonly string[];
  /** Seconds that a study may hold workers at most; what it has when nobody says. */
  most_seconds: number;
  urls: { sweeps: string; fits: string; run: string };
}

interface Target {
  name: string;
  label: string;
  declared: ParameterDeclaration | null;
  base: unknown;
  low: number | null;
  high: number | null;
}

type Kind = "sweep" | "fit";

/** Sends the graph through many points, or has parameters of it fitted. */
export function StudyForm({ data, api }: { data: StudyData; api: ApiClient }) {
  const [kind, setKind] = useState<Kind>("sweep");
  const targets = useMemo(() => targetsOf(data), [data]);
  return (
    <>
      <div className="panel-head">
        <h2 id="study-title">Study</h2>
        <div className="segments" role="group" aria-label="Kind of study">
          {(["sweep", "fit"] as const).map((one) => (
            <button key={one} type="button" aria-pressed={kind === one} onClick={() => setKind(one)}>
              {one === "sweep" ? "Sweep" : "Fit"}
            </button>
          ))}
        </div>
      </div>
      <div className="panel-body">
        {kind === "sweep" ? <SweepForm data={data} targets={targets} api={api} /> : <FitForm data={data} targets={targets} api={api} />}
      </div>
    </>
  );
}

interface FormProps {
  data: StudyData;
  targets: readonly Target[];
  api: ApiClient;
}

interface AxisState {
  target: string;
  min: string;
  max: string;
  steps: string;
  values: string;
  scale: "lin" | "log";
}

function SweepForm({ data, targets, api }: FormProps) {
  const [axes, setAxes] = useState<AxisState[]>(() => [axisOf(targets[0]!)]);
  const [sampling, setSampling] = useState<SweepDesign["sampling"]>("grid");
  const [points, setPoints] = useState("64");
  const [metric, setMetric] = useState({ port: data.scalars[0] ?? "", reduce: "last", start: "0" });
  const [seed, setSeed] = useState("");
  const [ticks, setTicks] = useState("");
  const [limit, setLimit] = useState("");
  const many = sampling === "grid" ? axes.reduce((product, axis) => product * countOf(axis, find(targets, axis.target)), 1) : Number(points);
  const change = (number: number, part: Partial<AxisState>) =>
    setAxes(axes.map((axis, k) => (k === number ? { ...axis, ...part } : axis)));

  const body = () => ({
    graph: data.graph,
    axes: axes.map((axis) => axisDesign(axis, find(targets, axis.target), sampling)),
    sampling,
    ...(sampling !== "grid" && { points: Number(points) }),
    ...(metric.port && { metrics: metricsOf(metric, data.scalars) }),
    ...lengthOf(seed, ticks, limit),
  });

  return (
    <Submission api={api} url={data.urls.sweeps} run={data.urls.run} body={body} label={`Sweep ${whole(many || 0)} point${many === 1 ? "" : "s"}`}>
      {(faultAt) => (
        <>
          {axes.map((axis, number) => (
            <AxisFields
              key={number}
              number={number}
              axis={axis}
              targets={targets}
              sampling={sampling}
              onChange={(part) => change(number, part)}
              onRemove={axes.length > 1 ? () => setAxes(axes.filter((_, k) => k !== number)) : null}
            />
          ))}
          <button
            type="button"
            className="button small"
            onClick={() => setAxes([...axes, axisOf(targets.find((one) => axes.every((axis) => axis.target !== one.name)) ?? targets[0]!)])}
          >
            Add an axis
          </button>
          <Field label="Points" help={SAMPLING_HELP[sampling]}>
            {(id) => (
              <div className="pair">
                <select id={id} value={sampling} onChange={(event) => setSampling(event.target.value as SweepDesign["sampling"])}>
                  <option value="grid">Grid</option>
                  <option value="random">Random</option>
                  <option value="sobol">Sobol</option>
                </select>
                {sampling !== "grid" && (
                  <input aria-label="Number of points" inputMode="numeric" value={points} onChange={(event) => setPoints(event.target.value)} />
                )}
              </div>
            )}
          </Field>
          {data.scalars.length > 0 && (
            <Field label="Metric" help="Every scalar output is kept; this one may be reduced over the run.">
              {(id) => (
                <div className="pair">
                  <select id={id} value={metric.port} onChange={(event) => setMetric({ ...metric, port: event.target.value })}>
                    {data.scalars.map((port) => (
                      <option key={port}>{port}</option>
                    ))}
                  </select>
                  <select aria-label="Reduced to" value={metric.reduce} onChange={(event) => setMetric({ ...metric, reduce: event.target.value })}>
                    <option value="last">last value</option>
                    <option value="mean">mean</option>
                    <option value="min">minimum</option>
                    <option value="max">maximum</option>
                  </select>
                  {metric.reduce !== "last" && (
                    <input aria-label="From tick" inputMode="numeric" value={metric.start} onChange={(event) => setMetric({ ...metric, start: event.target.value })} />
                  )}
                </div>
              )}
            </Field>
          )}
          <LengthFields seed={seed} ticks={ticks} onSeed={setSeed} onTicks={setTicks} faultAt={faultAt} />
          <LimitField value={limit} most={data.most_seconds} what="sweep" onChange={setLimit} fault={faultAt("max_seconds")} />
        </>
      )}
    </Submission>
  );
}

const SAMPLING_HELP = {
  grid: "Every combination of the steps.",
  random: "Drawn independently; the seed draws the same again.",
  sobol: "Spread evenly over all axes; powers of 2 fill them best.",
} as const;

interface AxisFieldsProps {
  number: number;
  axis: AxisState;
  targets: readonly Target[];
  sampling: SweepDesign["sampling"];
  onChange: (part: Partial<AxisState>) => void;
  onRemove: (() => void) | null;
}

function AxisFields({ number, axis, targets, sampling, onChange, onRemove }: AxisFieldsProps) {
  const target = find(targets, axis.target);
  return (
    <fieldset className="axis-fields">
      <legend>Axis {number + 1}</legend>
      <Field label="Parameter" help={target.declared?.doc ?? ""}>
        {(id) => (
          <select id={id} value={axis.target} onChange={(event) => onChange(axisOf(find(targets, event.target.value)))}>
            {targets.map((one) => (
              <option key={one.name} value={one.name}>
                {one.label}
              </option>
            ))}
          </select>
        )}
      </Field>
      {isRange(target) ? (
        <div className="axis-range">
          <Small label="From" value={axis.min} onChange={(min) => onChange({ min })} />
          <Small label="To" value={axis.max} onChange={(max) => onChange({ max })} />
          {sampling === "grid" && <Small label="Steps" value={axis.steps} onChange={(steps) => onChange({ steps })} />}
          <label className="small-field">
            <span>Scale</span>
            <select value={axis.scale} onChange={(event) => onChange({ scale: event.target.value as "lin" | "log" })}>
              <option value="lin">linear</option>
              <option value="log">logarithmic</option>
            </select>
          </label>
        </div>
      ) : (
        <Field label="Values" help="One by one, with commas between.">
          {(id) => <input id={id} value={axis.values} onChange={(event) => onChange({ values: event.target.value })} />}
        </Field>
      )}
      {onRemove && (
        <button type="button" className="link-button" onClick={onRemove}>
          Remove axis {number + 1}
        </button>
      )}
    </fieldset>
  );
}

interface FittedState {
  target: string;
  min: string;
  max: string;
}

function FitForm({ data, targets, api }: FormProps) {
  const live = useMemo(() => targets.filter(({ declared }) => declared?.live && declared.type === "float"), [targets]);
  const [params, setParams] = useState<FittedState[]>(() => (live[0] ? [{ target: live[0].name, min: "", max: "" }] : []));
  const [loss, setLoss] = useState({ port: data.scalars[0] ?? "", target: "0", start: "0" });
  const [iterations, setIterations] = useState("100");
  const [rate, setRate] = useState("0.02");
  const [seed, setSeed] = useState("");
  const [ticks, setTicks] = useState("");
  const [limit, setLimit] = useState("");
  if (live.length === 0 || data.scalars.length === 0) {
    return <p className="panel-note">A fit needs a live parameter with a fraction and a scalar output; this graph lacks one of them.</p>;
  }
  const change = (number: number, part: Partial<FittedState>) => setParams(params.map((one, k) => (k === number ? { ...one, ...part } : one)));
  const free = live.find((one) => params.every((param) => param.target !== one.name));
  const body = () => ({
    graph: data.graph,
    params: params.map(({ target, min, max }): FitDesign["params"][number] => ({
      target,
      ...(min.trim() && { min: Number(min) }),
      ...(max.trim() && { max: Number(max) }),
    })),
    loss: { port: loss.port, target: Number(loss.target), start: Number(loss.start) },
    iterations: Number(iterations),
    rate: Number(rate),
    ...lengthOf(seed, ticks, limit),
  });
  return (
    <Submission api={api} url={data.urls.fits} run={data.urls.run} body={body} label="Fit">
      {(faultAt) => (
        <>
          {params.map((one, number) => (
            <fieldset className="axis-fields" key={one.target}>
              <legend>Parameter {number + 1}</legend>
              <Field label="Fitted" help={find(targets, one.target).declared?.doc ?? ""}>
                {(id) => (
                  <select id={id} value={one.target} onChange={(event) => change(number, { target: event.target.value })}>
                    {live.filter(({ name }) => name === one.target || params.every((param) => param.target !== name)).map(({ name, label }) => (
                      <option key={name} value={name}>
                        {label}
                      </option>
                    ))}
                  </select>
                )}
              </Field>
              <div className="axis-range">
                <Small label="At least" value={one.min} onChange={(min) => change(number, { min })} />
                <Small label="At most" value={one.max} onChange={(max) => change(number, { max })} />
              </div>
              {params.length > 1 && (
                <button type="button" className="link-button" onClick={() => setParams(params.filter((_, k) => k !== number))}>
                  Remove parameter {number + 1}
                </button>
              )}
            </fieldset>
          ))}
          {free && (
            <button type="button" className="button small" onClick={() => setParams([...params, { target: free.name, min: "", max: "" }])}>
              Add a parameter
            </button>
          )}
          <Field label="Output" help="Its squared distance from the aim is made small.">
            {(id) => (
              <select id={id} value={loss.port} onChange={(event) => setLoss({ ...loss, port: event.target.value })}>
                {data.scalars.map((port) => (
                  <option key={port}>{port}</option>
                ))}
              </select>
            )}
          </Field>
          <div className="axis-range">
            <Small label="Aim" value={loss.target} onChange={(target) => setLoss({ ...loss, target })} />
            <Small label="From tick" value={loss.start} onChange={(start) => setLoss({ ...loss, start })} />
            <Small label="Iterations" value={iterations} onChange={setIterations} />
            <Small label="Step size" value={rate} onChange={setRate} />
          </div>
          <LengthFields seed={seed} ticks={ticks} onSeed={setSeed} onTicks={setTicks} faultAt={faultAt} />
          <LimitField value={limit} most={data.most_seconds} what="fit" onChange={setLimit} fault={faultAt("max_seconds")} />
        </>
      )}
    </Submission>
  );
}

interface LengthFieldsProps {
  seed: string;
  ticks: string;
  onSeed: (seed: string) => void;
  onTicks: (ticks: string) => void;
  faultAt: FaultAt;
}

function LengthFields({ seed, ticks, onSeed, onTicks, faultAt }: LengthFieldsProps) {
  return (
    <div className="axis-range">
      <Small label="Seed" value={seed} onChange={onSeed} placeholder="drawn" fault={faultAt("seed")} />
      <Small label="Ticks" value={ticks} onChange={onTicks} placeholder="the usual" fault={faultAt("ticks")} />
    </div>
  );
}

interface LimitFieldProps {
  value: string;
  most: number;
  what: Kind;
  onChange: (value: string) => void;
  fault: string | null;
}

/** For how long the whole study may hold workers. */
function LimitField({ value, most, what, onChange, fault }: LimitFieldProps) {
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={id}>Time limit, s</label>
      <input
        id={id}
        inputMode="numeric"
        autoComplete="off"
        value={value}
        aria-invalid={fault !== null || undefined}
        aria-describedby={fault === null ? `${id}-help` : `${id}-help ${id}-error`}
        onChange={(event) => onChange(event.target.value)}
      />
      <span className="help" id={`${id}-help`}>
        A {what} that has held workers for so long is stopped, and keeps what it has. 1 to {whole(most)}. Empty: the most there is.
      </span>
      {fault !== null && (
        <span className="error" id={`${id}-error`}>
          {fault}
        </span>
      )}
    </div>
  );
}

interface SubmissionProps {
  api: ApiClient;
  url: string;
  run: string;
  body: () => unknown;
  label: string;
  children: (faultAt: FaultAt) => ReactNode;
}

/** What the server finds wrong with a field, to be said beside it. */
type FaultAt = (place: string) => string | null;

/** Places that have a field which says what is wrong with it. */
const FIELDS: ReadonlySet<string> = new Set(["seed", "ticks", "max_seconds"]);

/** Sends what its fields say, once for each press, and goes to the run; says everything the server finds wrong. */
function Submission({ api, url, run, body, label, children }: SubmissionProps) {
  const [problem, setProblem] = useState<Error | null>(null);
  const [busy, setBusy] = useState(false);
  const form = useRef<HTMLFormElement>(null);
  // Whoever does not see the form is told by its first field that is not as it should be.
  useEffect(() => {
    if (problem) form.current?.querySelector<HTMLElement>("[aria-invalid]")?.focus();
  }, [problem]);
  const send = async () => {
    setBusy(true);
    setProblem(null);
    try {
      const made = await api.post<{ id: string }>(url, body());
      location.assign(run.replace("00000000-0000-0000-0000-000000000000", made.id));
    } catch (refused) {
      setProblem(refused instanceof Error ? refused : new Error(String(refused)));
      setBusy(false);
    }
  };
  const placed = problem instanceof ApiProblem ? problem.problems : [];
  const elsewhere = placed.filter((one) => !FIELDS.has(one.place));
  const faultAt: FaultAt = (place) => {
    const found = placed.filter((one) => one.place === place).map((one) => `${one.message} ${one.mend}`);
    return found.length > 0 ? found.join(" ") : null;
  };
  return (
    <form
      ref={form}
      className="study-form"
      onSubmit={(event) => {
        event.preventDefault();
        void send();
      }}
    >
      {children(faultAt)}
      {problem && (
        <div className="callout bad" role="alert">
          {placed.length === 0 && <p>{problem.message}</p>}
          {elsewhere.length < placed.length && <p>Nothing was queued. The fields above say what is to be mended.</p>}
          {elsewhere.length > 0 && (
            <ul>
              {elsewhere.map((one) => (
                <li key={`${one.place} ${one.message}`}>
                  <code>{one.place}</code> {one.message} {one.mend}
                </li>
              ))}
            </ul>
          )}
        </div>
      )}
      <div className="form-actions">
        <button className="button primary block" type="submit" disabled={busy}>
          {label}
        </button>
      </div>
    </form>
  );
}

function Field({ label, help, children }: { label: string; help: string; children: (id: string) => ReactNode }) {
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      {children(id)}
      {help && <span className="help">{help}</span>}
    </div>
  );
}

interface SmallProps {
  label: string;
  value: string;
  onChange: (value: string) => void;
  placeholder?: string;
  fault?: string | null;
}

function Small({ label, value, onChange, placeholder, fault = null }: SmallProps) {
  const id = useId();
  return (
    <label className="small-field">
      <span>{label}</span>
      <input
        inputMode="decimal"
        value={value}
        placeholder={placeholder}
        aria-invalid={fault !== null || undefined}
        aria-describedby={fault === null ? undefined : id}
        onChange={(event) => onChange(event.target.value)}
      />
      {fault !== null && (
        <span className="error" id={id}>
          {fault}
        </span>
      )}
    </label>
  );
}

/** What may be varied: the graph's exposed controls first, then every other parameter, and the seed. */
export function targetsOf({ spec, declarations, controls }: Pick<StudyData, "spec" | "declarations" | "controls">): Target[] {
  const exposed = new Map(controls.map((control) => [control.target, control]));
  const found: Target[] = [];
  for (const node of spec.nodes) {
    for (const declared of declarations[node.kind]?.params ?? []) {
      if (declared.type === "text" || declared.type === "list") continue;
      const name = `${node.id}.${declared.name}`;
      const control = exposed.get(name);
      found.push({
        name,
        label: control ? `${control.label} (${name})` : name,
        declared,
        base: parameter(node, declarations, declared.name),
        low: control?.min ?? declared.min,
        high: control?.max ?? declared.max,
      });
    }
  }
  const rank = ({ name, declared }: Target) => (exposed.has(name) ? 0 : declared?.live ? 1 : 2);
  found.sort((a, b) => rank(a) - rank(b));
  return [...found, { name: "seed", label: "seed", declared: null, base: 0, low: 0, high: 9 }];
}

function find(targets: readonly Target[], name: string): Target {
  return targets.find((one) => one.name === name) ?? targets[0]!;
}

function isRange({ declared }: Target): boolean {
  return declared === null || declared.type === "float" || declared.type === "int";
}

function axisOf(target: Target): AxisState {
  const base = typeof target.base === "number" ? target.base : 0;
  // A parameter without an end of its own is varied around its value.
  const low = target.low ?? Math.min(0, base);
  const high = target.high ?? Math.max(1, 2 * base);
  const whole = target.declared === null || target.declared.type === "int";
  const steps = whole ? Math.min(10, high - low + 1) : 10;
  const values = target.declared?.type === "bool" ? [true, false] : (target.declared?.choices ?? []);
  return { target: target.name, min: String(low), max: String(high), steps: String(steps), values: values.join(", "), scale: "lin" };
}

function listed(axis: AxisState, target: Target): unknown[] {
  const texts = axis.values.split(",").map((text) => text.trim()).filter(Boolean);
  if (target.declared?.type === "bool") return texts.map((text) => (text === "true" ? true : text === "false" ? false : text));
  // A choice may be a number.
  return texts.map((text) => target.declared?.choices.find((choice) => String(choice) === text) ?? text);
}

function countOf(axis: AxisState, target: Target): number {
  return isRange(target) ? Number(axis.steps) || 0 : listed(axis, target).length;
}

export function axisDesign(axis: AxisState, target: Target, sampling: SweepDesign["sampling"]): AxisDesign {
  if (!isRange(target)) return { target: axis.target, values: listed(axis, target) };
  return {
    target: axis.target,
    min: Number(axis.min),
    max: Number(axis.max),
    scale: axis.scale,
    ...(sampling === "grid" && { steps: Number(axis.steps) }),
  };
}

function metricsOf(chosen: { port: string; reduce: string; start: string }, scalars: readonly string[]): MetricDesign[] {
  const first: MetricDesign = {
    port: chosen.port,
    reduce: chosen.reduce as MetricDesign["reduce"],
    start: chosen.reduce === "last" ? 0 : Number(chosen.start),
  };
  const others = scalars.filter((port) => port !== chosen.port || chosen.reduce !== "last");
  return [first, ...others.map((port): MetricDesign => ({ port, reduce: "last", start: 0 }))];
}

/** Seed, ticks and time limit where they are given; what is no whole number as it was typed, for the server to refuse. */
export function lengthOf(seed: string, ticks: string, limit: string): Record<string, number | string> {
  const given = { seed, ticks, max_seconds: limit };
  return Object.fromEntries(
    Object.entries(given)
      .map(([name, text]) => [name, text.replace(/\s/g, "")] as const)
      .filter(([, text]) => text !== "")
      .map(([name, text]) => [name, /^\d{1,15}$/.test(text) ? Number(text) : text]),
  );
}
