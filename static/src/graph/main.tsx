// The graph page: a graph to look at, and the forms of sweeps and fits.
import { ApiClient } from "../api/client";
import type { GraphSpec } from "../api/run";
import type { Declarations } from "../live/wiring";
import { mount, pageData } from "../shared/mount";
import { GraphCanvas, type Positions } from "./GraphCanvas";
import { type StudyData, StudyForm } from "./StudyForm";

interface GraphPageData {
  name: string;
  spec: GraphSpec;
  declarations: Declarations;
  positions: Positions;
  study: Omit<StudyData, "spec" | "declarations">;
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

// Only for those who may run graphs.
const study = document.getElementById("study-root");
if (study) {
  const data = pageData<GraphPageData>(study);
  const api = new ApiClient(study.dataset.csrf ?? "");
  mount(study, <StudyForm data={{ ...data.study, spec: data.spec, declarations: data.declarations }} api={api} />);
}
