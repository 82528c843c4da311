import { whole } from "../shared/format";
import { useLive, useNow, useSnapshot } from "./context";
import type { LinkState } from "./link";

const WORDS: Record<LinkState, string> = {
  connecting: "Connecting",
  linked: "Linked",
  stale: "Stale",
  reconnecting: "Reconnecting",
  offline: "Offline",
  refused: "Signed out",
  ended: "Ended",
};

const EXPLAINED: Record<LinkState, string> = {
  connecting: "The page is opening its link to the run.",
  linked: "News of the run arrives as it happens.",
  stale: "Nothing has arrived for three seconds.",
  reconnecting: "The link was lost; the page tries again by itself and misses no event.",
  offline: "This device has no network. The run goes on.",
  refused: "You are signed out, or may not see this run any more. Sign in and reload.",
  ended: "The run is over and everything has been read.",
};

/** The state of the link and the frames that are drawn each second, as measured. */
export function Hud() {
  const { clock } = useLive();
  const { link, retryAt, live } = useSnapshot();
  const now = useNow(500);
  const fps = clock.rate(now);
  const wait = retryAt === null ? null : Math.max(0, Math.ceil((retryAt - Date.now()) / 1000));
  return (
    <div className="hud num">
      <span className={`chip link ${link}`} data-link={link} role="status" title={EXPLAINED[link]}>
        {WORDS[link]}
        {link === "reconnecting" && wait !== null && wait > 0 ? ` in ${wait} s` : ""}
      </span>
      <span className="hud-fps" data-fps={fps ?? ""} data-frames={clock.drawn} title="Frames drawn each second, measured">
        {fps === null ? "no frames" : `${whole(fps)} frames/s`}
      </span>
      {!live && <span className="chip warn">No live frames</span>}
    </div>
  );
}
