import { useSnapshot } from "../context";

/** What stands where nothing has arrived yet, and why; `hint` says what a running graph is waiting for. */
export function NoData({ hint = "The first frame is on its way." }: { hint?: string }) {
  const { run, live, link } = useSnapshot();
  let why: string;
  if (run.state === "queued") why = "The run waits for a worker.";
  else if (run.state !== "running") why = "The run is over; live views show a run while it goes on.";
  else if (!live) why = "Live frames cannot come just now.";
  else if (link !== "linked") why = "The page is not linked to the run.";
  else if (run.paused) why = "The run is paused.";
  else why = hint;
  return (
    <div className="no-data">
      <strong>No data</strong>
      <span>{why}</span>
    </div>
  );
}
