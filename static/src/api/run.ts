// The documents of the API that the pages read. `npm run check` holds them to the OpenAPI schema (see api/conformance.ts).

export type RunState = "queued" | "running" | "succeeded" | "failed" | "cancelled";

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

export interface RunError {
  code: string;
  node: string | null;
  tick: number | null;
  message: string;
  mend: string;
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
  weights: Record<string, unknown>;
  control_log: ControlChange[];
  result_hash: string;
  outputs: Record<string, unknown>;
  tables: Record<string, ResultTable>;
}

export interface Run {
  id: string;
  state: RunState;
  paused: boolean;
  seed: number;
  ticks: number;
  tick: number;
  progress: number;
  eta_s: number | null;
  ticks_per_s: number | null;
  error: RunError | null;
  result_hash: string;
  graph: { id: string; name: string; version: number; content_hash: string; spec: GraphSpec };
  preset: { id: string; title: string; controls: Control[]; actions: Action[] } | null;
  created_at: string;
  started_at: string | null;
  finished_at: string | null;
  urls: {
    events: string;
    result: string;
    cancel: string;
    pause: string;
    resume: string;
    controls: string;
    triggers: string;
    socket: string;
  };
}

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
