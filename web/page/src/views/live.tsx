// The events of all connections that the filter chooses, as they go by.

import { useEffect, useMemo, useState } from "preact/hooks";
import { Events } from "../events.js";
import { filter } from "../parts/filter.js";
import type { Event, Row, Told } from "../parts/messages.js";
import { place } from "../place.js";
import { useNewest } from "../watch.js";

interface List extends Told {
  rows: Row[];
  closed: Row[];
}

/** A filter that can be read and that nobody is typing any more. */
function useSettled(text: string): string {
  const [settled, settle] = useState("");
  useEffect(() => {
    if (!("test" in filter(text))) return undefined;
    const timer = setTimeout(() => settle(text), 400);
    return () => clearTimeout(timer);
  }, [text]);
  return settled;
}

/** The gateway sends only what the filter says, so that little of much is not lost on the way. */
export function Live() {
  const { newest } = useNewest<List>({ what: "connections", filter: "", sort: "activity", limit: 200 });
  const rows = useMemo(() => new Map<string, Row>(), []);
  for (const row of [...(newest?.closed ?? []), ...(newest?.rows ?? [])]) rows.set(row.id, row);
  const facts = (event: Event) => {
    const row = rows.get(event.conn ?? "");
    return { path: row?.path, user: row?.user, channels: row?.channels };
  };
  const settled = useSettled(place.value.chosen["filter"] ?? "");
  return (
    <section class="view">
      <h1 class="unseen">Live</h1>
      <Events
        wish={{ what: "events", filter: settled }}
        name="events"
        facts={facts}
        many
        empty="Nothing has gone by since this view was opened. Frames of all connections appear here as they come."
      />
    </section>
  );
}
