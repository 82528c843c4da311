// The graph page: a graph to look at.
import type { GraphSpec } from "../api/run";
import type { Declarations } from "../live/wiring";
import { mount, pageData } from "../shared/mount";
import { GraphCanvas, type Positions } from "./GraphCanvas";

interface GraphPageData {
  name: string;
  spec: GraphSpec;
  declarations: Declarations;
  positions: Positions;
}

const idle = () => "idle" as const;

const root = document.getElementById("graph-root");
if (root) {
  const data = pageData<GraphPageData>(root);
  mount(
    root,
    <GraphCanvas
      spec={data.spec}
      declarations={data.declarations}
      positions={data.positions}
      activity={idle}
      label={`Graph ${data.name}`}
    />,
  );
}
