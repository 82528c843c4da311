import {
  BaseEdge,
  Background,
  BackgroundVariant,
  Controls,
  type Edge,
  type EdgeProps,
  Handle,
  MarkerType,
  MiniMap,
  type Node,
  type NodeProps,
  Position,
  ReactFlow,
  getBezierPath,
} from "@xyflow/react";
import "@xyflow/react/dist/style.css";
import { type ReactNode, memo, useEffect, useMemo, useState } from "react";
import type { GraphSpec } from "../api/run";
import { type Declarations, split } from "../live/wiring";
import { currentTheme, onThemeChange } from "../site/theme";

export type Positions = Readonly<Record<string, [number, number]>>;
export type NodeActivity = "idle" | "running" | "paused" | "done" | "failed";

interface NodeData extends Record<string, unknown> {
  title: string;
  kind: string;
  family: number;
  inputs: string[];
  outputs: string[];
  activity: NodeActivity;
  extra: ReactNode;
}

type GraphNode = Node<NodeData, "graph">;

const NODE_WIDTH = 198;
const NODE_HEIGHT = 100;

const ACTIVITY_WORDS: Record<NodeActivity, string> = {
  idle: "not running",
  running: "running",
  paused: "paused",
  done: "done",
  failed: "failed",
};

const GraphNodeCard = memo(function GraphNodeCard({ data }: NodeProps<GraphNode>) {
  return (
    <div className={`gnode family-${data.family} ${data.activity}`}>
      <div className="gnode-head">
        <span className="gnode-dot" role="img" aria-label={ACTIVITY_WORDS[data.activity]} />
        <strong>{data.title}</strong>
      </div>
      <div className="gnode-kind">{data.kind}</div>
      {data.extra}
      <div className="gnode-ports">
        <ul className="in">
          {data.inputs.map((port) => (
            <li key={port}>
              <Handle type="target" position={Position.Left} id={port} isConnectable={false} />
              {port}
            </li>
          ))}
        </ul>
        <ul className="out">
          {data.outputs.map((port) => (
            <li key={port}>
              {port}
              <Handle type="source" position={Position.Right} id={port} isConnectable={false} />
            </li>
          ))}
        </ul>
      </div>
    </div>
  );
});

/** An edge; one that runs against the direction of reading passes below the nodes. */
function GraphEdge(props: EdgeProps) {
  const { sourceX, sourceY, targetX, targetY } = props;
  const back = targetX < sourceX + 20;
  let path: string;
  if (back) {
    const low = Math.max(sourceY, targetY) + 110;
    path =
      `M${sourceX} ${sourceY}C${sourceX + 60} ${sourceY} ${sourceX + 60} ${low} ${sourceX - 10} ${low}` +
      `L${targetX + 10} ${low}C${targetX - 60} ${low} ${targetX - 60} ${targetY} ${targetX} ${targetY}`;
  } else {
    [path] = getBezierPath(props);
  }
  return <BaseEdge id={props.id} path={path} {...(props.markerEnd ? { markerEnd: props.markerEnd } : {})} />;
}

const nodeTypes = { graph: GraphNodeCard };
const edgeTypes = { graph: GraphEdge };

interface Props {
  spec: GraphSpec;
  declarations: Declarations;
  positions: Positions;
  activity: (id: string) => NodeActivity;
  /** What a node shows besides its ports, such as a sparkline. */
  extra?: (id: string) => ReactNode;
  label: string;
}

/** The graph, to be looked at: pan, zoom, no editing. */
export function GraphCanvas({ spec, declarations, positions, activity, extra, label }: Props) {
  const [theme, setTheme] = useState(currentTheme);
  useEffect(() => onThemeChange(setTheme), []);
  const [wide, setWide] = useState(() => matchMedia("(min-width: 60rem)").matches);
  useEffect(() => {
    const query = matchMedia("(min-width: 60rem)");
    const follow = () => setWide(query.matches);
    query.addEventListener("change", follow);
    return () => query.removeEventListener("change", follow);
  }, []);

  const nodes = useMemo<GraphNode[]>(() => {
    const families = new Map<string, number>();
    const used = usedPorts(spec);
    return spec.nodes.map((node) => {
      const family = node.kind.split(/[.:]/)[0] ?? node.kind;
      if (!families.has(family)) families.set(family, families.size % 5);
      const [x, y] = positions[node.id] ?? [0, 0];
      return {
        id: node.id,
        type: "graph",
        position: { x, y },
        data: {
          title: node.title || declarations[node.kind]?.title || node.id,
          kind: node.kind,
          family: families.get(family) ?? 0,
          inputs: used.inputs.get(node.id) ?? [],
          outputs: used.outputs.get(node.id) ?? [],
          activity: activity(node.id),
          extra: extra?.(node.id) ?? null,
        },
        // The size until it is measured; the small map uses it.
        initialWidth: NODE_WIDTH,
        initialHeight: NODE_HEIGHT,
        draggable: false,
        connectable: false,
        deletable: false,
        ariaLabel: `${node.title || node.id}, ${node.kind}, ${ACTIVITY_WORDS[activity(node.id)]}`,
      };
    });
  }, [spec, declarations, positions, activity, extra]);

  const edges = useMemo<Edge[]>(() => {
    const marker = (color: string) => ({ type: MarkerType.ArrowClosed, color, width: 14, height: 14 });
    const drawn: Edge[] = (spec.edges ?? []).map((edge, index) => {
      const [from, to] = [split(edge.src), split(edge.dst)];
      return {
        id: `edge-${index}`,
        type: "graph",
        source: from.node,
        sourceHandle: from.port,
        target: to.node,
        targetHandle: to.port,
        className: edge.delay ? "gedge delayed" : "gedge",
        markerEnd: marker(edge.delay ? "var(--lobe-b)" : "var(--line-strong)"),
        ariaLabel: `${edge.src} to ${edge.dst}${edge.delay ? ", delayed by one tick" : ""}`,
      };
    });
    for (const [index, route] of (spec.routes ?? []).entries()) {
      const [from, to] = [split(route.src), split(route.dst)];
      drawn.push({
        id: `route-${index}`,
        type: "graph",
        source: from.node,
        sourceHandle: from.port,
        target: to.node,
        targetHandle: to.port,
        className: "gedge route",
        markerEnd: marker("var(--lobe-a)"),
        ariaLabel: `${route.src} modulates ${route.dst}`,
      });
    }
    return drawn;
  }, [spec]);

  return (
    <ReactFlow
      nodes={nodes}
      edges={edges}
      nodeTypes={nodeTypes}
      edgeTypes={edgeTypes}
      colorMode={theme}
      nodesDraggable={false}
      nodesConnectable={false}
      edgesFocusable={false}
      elementsSelectable
      deleteKeyCode={null}
      // The page scrolls under the pointer; the graph zooms with Ctrl or a pinch.
      zoomOnScroll={false}
      preventScrolling={false}
      minZoom={0.15}
      fitView
      fitViewOptions={{ padding: 0.06 }}
      aria-label={label}
      proOptions={{ hideAttribution: false }}
    >
      <Background variant={BackgroundVariant.Dots} gap={22} size={1.2} color="var(--line)" />
      <Controls showInteractive={false} />
      {wide && <MiniMap pannable zoomable style={{ width: 150, height: 90 }} nodeBorderRadius={6} ariaLabel="Map of the graph" />}
    </ReactFlow>
  );
}

/** The ports and parameters that edges and routes touch, per node; others would only be clutter here. */
function usedPorts(spec: GraphSpec): { inputs: Map<string, string[]>; outputs: Map<string, string[]> } {
  const inputs = new Map<string, string[]>();
  const outputs = new Map<string, string[]>();
  const note = (ports: Map<string, string[]>, reference: string) => {
    const { node, port } = split(reference);
    const list = ports.get(node) ?? [];
    if (!list.includes(port)) list.push(port);
    ports.set(node, list);
  };
  for (const link of [...(spec.edges ?? []), ...(spec.routes ?? [])]) {
    note(outputs, link.src);
    note(inputs, link.dst);
  }
  return { inputs, outputs };
}
