// The events of all connections that the filter chooses, as they go by.

import { Events } from "../events.js";
import { place } from "../place.js";
import { useNewest } from "../watch.js";
import type { Event, Row, Told } from "../parts/messages.js";
import { useMemo } from "preact/hooks";

interface List extends Told {
  rows: Row[];
  closed: Row[];
}

export function Live() {
  const { newest } = useNewest<List>({ what: "connections", filter: "", sort: "activity", limit: 200 });
  const rows = useMemo(() => new Map<string, Row>(), []);
  for (const row of [...(newest?.closed ?? []), ...(newest?.rows ?? [])]) rows.set(row.id, row);
  const facts = (event: Event) => {
    const row = rows.get(event.conn ?? "");
    return { path: row?.path, user: row?.user, channels: row?.channels };
  };
  // The gateway sends only what the filter says, so that little of much is not lost on the way.
  const filter = place.value.chosen["gateway"] ?? "";
  return (
    <section class="view">
      <h1 class="unseen">Live</h1>
      <Events
        wish={{ what: "events", filter, level: "payload" }}
        name="events"
        facts={facts}
        many
        empty="Nothing has gone by since this view was opened. Frames of all connections appear here as they come."
      />
    </section>
  );
}
