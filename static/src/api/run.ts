// The documents of the API. What the OpenAPI schema describes is taken from it (`npm run types`); graphs, controls, results
// and declarations are documents of their own, which the schema calls objects, and are described here.
import type { components } from "./schema";

type Schemas = components["schemas"];

export type RunState = Schemas["RunStateEnum"];
export type RunError = Schemas["RunError"];

export interface NodeSpec {
  id: string;
  kind: string;
  title?: string | null;
  params?: Record<string, unknown>;
  pos?: [number, number] | null;
}

export interface EdgeSpec {
  src: string;
  dst: string;
  delay?: number;
  init?: unknown;
  reduce?: string | null;
  resample?: string | null;
}

export interface RouteSpec {
  src: string;
  dst: string;
  mode?: string;
  depth?: number;
}

export interface GraphSpec {
  nodes: NodeSpec[];
  edges?: EdgeSpec[];
  routes?: RouteSpec[];
  audio?: { fs?: number; B?: number };
}

export interface Control {
  label: string;
  target: string;
  widget?: string;
  min?: number | null;
  max?: number | null;
  step?: number | null;
  options?: (number | string)[];
  help?: string;
}

export interface Action {
  label: string;
  node: string;
  trigger: string;
  help?: string;
}

export interface ControlChange {
  tick: number;
  target: string;
  value: unknown;
}

export interface ResultTable {
  columns: string[];
  rows: unknown[][];
}

export interface RunResult {
  graph_hash: string;
  seed: number;
  ticks: number;
  complete: boolean;
  tier: string;
  device: string;
  versions: Record<string, string>;
  weights: Record<string, Record<string, unknown>>;
  control_log: ControlChange[];
  result_hash: string;
  outputs: Record<string, unknown>;
  tables: Record<string, ResultTable>;
}

export type Run = Omit<Schemas["Run"], "graph" | "preset" | "result"> & {
  graph: Omit<Schemas["RunGraphWithSpec"], "spec"> & { spec: GraphSpec };
  preset: (Omit<Schemas["RunPresetWithControls"], "controls" | "actions"> & { controls: Control[]; actions: Action[] }) | null;
};

/** What a run's news may change. */
export type RunNews = {
  -readonly [Key in "state" | "tick" | "progress" | "eta_s" | "ticks_per_s" | "paused" | "error"]?: Run[Key];
} & {
  /** The run is back in the queue and goes on from this tick. */
  resumes_at?: number;
};

export type RunKind = Schemas["RunKindEnum"];

export interface PortDeclaration {
  name: string;
  kind: string;
  optional?: boolean;
  variadic?: boolean;
}

export interface ParameterDeclaration {
  name: string;
  type: string;
  default: unknown;
  unit: string;
  min: number | null;
  max: number | null;
  choices: unknown[];
  live: boolean;
  doc: string;
}

export interface NodeDeclaration {
  kind: string;
  title: string;
  summary: string;
  category: string;
  inputs: PortDeclaration[];
  outputs: PortDeclaration[];
  params: ParameterDeclaration[];
}

export function isFinal(state: RunState): boolean {
  return state === "succeeded" || state === "failed" || state === "cancelled";
}
