import { useEffect, useMemo, useRef, useState } from "react";
import { whole } from "../shared/format";
import { useSnapshot } from "./context";
import type { EventItem } from "./store";

const SHOWN = 200;

/** What the run told, newest last. */
export function EventLog() {
  const { events, earlier } = useSnapshot();
  const [kind, setKind] = useState("");
  const list = useRef<HTMLDivElement>(null);
  const follows = useRef(true);
  const kinds = useMemo(() => [...new Set(events.map((event) => event.kind))].sort(), [events]);
  const matching = kind ? events.filter((event) => event.kind === kind) : events;
  const shown = matching.slice(-SHOWN);
  const hidden = matching.length - shown.length + (kind ? 0 : earlier);

  // Follows the newest line unless the reader scrolled up.
  useEffect(() => {
    if (follows.current && list.current) list.current.scrollTop = list.current.scrollHeight;
  }, [shown.length, events]);

  return (
    <section className="panel" aria-labelledby="events-title">
      <div className="panel-head">
        <h2 id="events-title">Events</h2>
        <label className="visually-hidden" htmlFor="event-kind">
          Kind of event
        </label>
        <select id="event-kind" className="input small-input" value={kind} onChange={(e) => setKind(e.target.value)}>
          <option value="">all kinds</option>
          {kinds.map((name) => (
            <option key={name} value={name}>
              {name}
            </option>
          ))}
        </select>
      </div>
      {events.length === 0 ? (
        <p className="panel-body panel-note">No events yet.</p>
      ) : (
        <div
          className="events"
          ref={list}
          role="log"
          aria-live="polite"
          aria-label="Events of the run"
          tabIndex={0}
          onScroll={(event) => {
            const box = event.currentTarget;
            follows.current = box.scrollHeight - box.scrollTop - box.clientHeight < 24;
          }}
        >
          {hidden > 0 && <p className="panel-note">{whole(hidden)} earlier events are not shown</p>}
          <ol className="event-list">
            {shown.map((event) => (
              <EventLine key={event.seq} event={event} />
            ))}
          </ol>
        </div>
      )}
    </section>
  );
}

function EventLine({ event }: { event: EventItem }) {
  return (
    <li className={`event ${event.level}`} data-seq={event.seq} data-kind={event.kind}>
      <span className="event-tick num">{event.tick === null ? "–" : whole(event.tick)}</span>
      <span className="event-kind">{event.kind}</span>
      <span className="event-text">
        {event.node && <code>{event.node}</code>} {event.text}
      </span>
    </li>
  );
}
