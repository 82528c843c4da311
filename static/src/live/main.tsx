// The run page.
import { ApiClient } from "../api/client";
import type { Run } from "../api/run";
import type { Positions } from "../graph/GraphCanvas";
import { mount, pageData } from "../shared/mount";
import { RunPage } from "./RunPage";
import { DrawClock } from "./clock";
import { LiveContext } from "./context";
import { RunStore } from "./store";
import { type Declarations, baseValues } from "./wiring";

interface RunPageData {
  run: Run;
  seed: string;
  declarations: Declarations;
  positions: Positions;
  reproduces: boolean;
  may_control: boolean;
}

/** The socket's address from the one in the API, which may lack scheme and host. */
function socketUrl(address: string): string {
  const url = new URL(address, location.href);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  return url.href;
}

const root = document.getElementById("run-root");
if (root) {
  const data = pageData<RunPageData>(root);
  const spec = data.run.graph.spec;
  const targets = (data.run.preset?.controls ?? []).map((control) => control.target);
  const store = new RunStore({
    run: data.run,
    socketUrl: socketUrl(data.run.urls.socket),
    api: new ApiClient(root.dataset.csrf ?? ""),
    mayControl: data.may_control,
    base: baseValues(spec, data.declarations, targets),
  });
  const clock = new DrawClock();
  mount(
    root,
    <LiveContext value={{ store, clock, spec, declarations: data.declarations, seed: data.seed, reproduces: data.reproduces }}>
      <RunPage positions={data.positions} />
    </LiveContext>,
  );
  store.open();
  addEventListener("pagehide", () => store.close());
}
