// What a sweep or a fit was asked to compute.
export interface AxisDesign {
  target: string;
  values?: unknown[];
  min?: number;
  max?: number;
  steps?: number;
  scale?: "lin" | "log";
}

export interface MetricDesign {
  port: string;
  reduce: "last" | "mean" | "min" | "max";
  start: number;
}

export interface SweepDesign {
  axes: AxisDesign[];
  sampling: "grid" | "random" | "sobol";
  points?: number;
  metrics: MetricDesign[];
}

export interface FitDesign {
  params: { target: string; min?: number; max?: number }[];
  loss: { port: string; target: unknown; start: number };
  iterations: number;
  rate: number;
  window: number;
}

/** The name of a metric among a point's numbers, as the engine gives it. */
export function metricName({ port, reduce, start }: MetricDesign): string {
  const name = reduce === "last" ? port : `${reduce} of ${port}`;
  return start ? `${name} from tick ${start}` : name;
}
