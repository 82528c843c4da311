// What the graph says about its views: which output ports each of them shows.
import type { GraphSpec, NodeDeclaration, NodeSpec, PortDeclaration } from "../api/run";

export interface Source {
  node: string;
  port: string;
}

/** An output port that is wired to a view, and the view's input that it enters. */
export interface WiredSource extends Source {
  input: string;
}

export interface View {
  node: NodeSpec;
  title: string;
  /** In the order of the edges. */
  sources: WiredSource[];
}

export type Declarations = Readonly<Record<string, NodeDeclaration>>;

export function split(reference: string): Source {
  const [node = "", port = ""] = reference.split(".");
  return { node, port };
}

/** The view nodes of one kind, with what feeds them. */
export function views(spec: GraphSpec, kind: string): View[] {
  return spec.nodes
    .filter((node) => node.kind === kind)
    .map((node) => ({
      node,
      title: node.title || node.id,
      sources: (spec.edges ?? [])
        .filter((edge) => split(edge.dst).node === node.id)
        .map((edge) => ({ ...split(edge.src), input: split(edge.dst).port })),
    }));
}

/** The declaration of an output port; undefined when the graph names none such. */
export function outputPort(spec: GraphSpec, declarations: Declarations, source: Source): PortDeclaration | undefined {
  const node = spec.nodes.find((one) => one.id === source.node);
  return node && declarations[node.kind]?.outputs.find((port) => port.name === source.port);
}

/** A number among a node's parameters: the graph's value, else the declared default. */
export function parameter(node: NodeSpec, declarations: Declarations, name: string): unknown {
  const given = node.params?.[name];
  if (given !== undefined) {
    return typeof given === "object" && given !== null && "value" in given ? given.value : given;
  }
  return declarations[node.kind]?.params.find((one) => one.name === name)?.default;
}

/** Base values of the controls' targets that are numbers. */
export function baseValues(
  spec: GraphSpec,
  declarations: Declarations,
  targets: readonly string[],
): Record<string, number> {
  const found: Record<string, number> = {};
  for (const target of targets) {
    const { node: id, port: name } = split(target);
    const node = spec.nodes.find((one) => one.id === id);
    const value = node && parameter(node, declarations, name);
    if (typeof value === "number") found[target] = value;
  }
  return found;
}

/** The names of a port's entries, as the legend of a grid view that shows the same port gives them; null when none does. */
export function entryNames(spec: GraphSpec, declarations: Declarations, source: Source): string[] | null {
  for (const view of views(spec, "viz.grid")) {
    const wired = view.sources.some(
      (one) => one.input === "probs" && one.node === source.node && one.port === source.port,
    );
    const legend = parameter(view.node, declarations, "probs_legend");
    if (wired && typeof legend === "string" && legend) return legend.split(",").map((name) => name.trim());
  }
  return null;
}
