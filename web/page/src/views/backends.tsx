// The servers behind the gateway: what is polled and streamed, what came of it, and when it is tried again.

import { useKeys } from "../keys.js";
import type { BackendRow, Told } from "../parts/messages.js";
import { count, span } from "../parts/units.js";
import { choose, go, place } from "../place.js";
import { type Column, listed, Table } from "../table.js";
import { Empty, Inert, Name, Note } from "../text.js";
import { useNewest } from "../watch.js";

interface List extends Told {
  rows: BackendRow[];
}

export function Backends() {
  const { at } = place.value.chosen;
  const { newest, refused } = useNewest<List>({ what: "backends" });
  const rows = [...(newest?.rows ?? [])].sort((a, b) => Number(b.state === "failing") - Number(a.state === "failing") || a.channel.localeCompare(b.channel));
  const selected = rows.find(({ channel }) => channel === at);
  const failing = rows.filter(({ state }) => state === "failing").length;
  useKeys({ Escape: () => choose({ at: undefined }) });
  return (
    <section class="view list">
      <div class="tools">
        <h1>
          Backends {newest && <small>{count(rows.length)}</small>}
        </h1>
        {failing > 0 && <span class="chip fault">{count(failing)} failing</span>}
      </div>
      {refused && <Note kind="error">{refused}</Note>}
      <Table
        label="Backends"
        columns={COLUMNS}
        rows={listed(rows)}
        id={({ channel }) => channel}
        tone={({ state }) => (state === "failing" ? "fault" : undefined)}
        selected={at}
        select={({ channel }) => choose({ at: channel })}
        open={({ channel }) => go(["channel", channel])}
        empty={newest && <Empty>Nothing is asked of any backend just now: a poll or a stream runs only while somebody follows it.</Empty>}
      />
      {selected?.reason && (
        <Note kind={selected.state === "failing" ? "error" : "info"}>
          <Inert text={selected.reason} most={2000} />
          {selected.retry_at && <span class="also">It is tried again in {span(Math.max(0, selected.retry_at - Date.now()))}</span>}
        </Note>
      )}
    </section>
  );
}

const COLUMNS: Column<BackendRow>[] = [
  { key: "state", title: "State", hint: "running, or failing: the last request did not get what it asked for", width: 70, rank: 1, show: ({ state }) => <span class={state === "failing" ? "bad" : "good"}>{state}</span> },
  { key: "url", title: "URL", hint: "What is asked", width: 150, grow: 3, rank: 0, mono: true, show: ({ url }) => <Name text={url} /> },
  { key: "channel", title: "Channel", hint: "The channel that it fills", width: 90, grow: 1, rank: 6, mono: true, show: ({ channel }) => <Name text={channel} /> },
  { key: "kind", title: "Kind", hint: "poll: asked again and again; stream: one long answer", width: 60, rank: 8, show: ({ kind }) => kind },
  { key: "requests", title: "Requests", hint: "Requests since it began", width: 76, rank: 3, right: true, show: (row) => count(row.requests) },
  { key: "unchanged", title: "304", hint: "Answers that said: nothing has changed", width: 64, rank: 9, right: true, show: (row) => count(row.not_modified) },
  { key: "changes", title: "Changes", hint: "Answers that brought something new, which was published", width: 70, rank: 4, right: true, show: (row) => count(row.changes) },
  { key: "errors", title: "Errors", hint: "Requests that failed", width: 60, rank: 2, right: true, show: ({ errors }) => (errors ? <span class="bad">{count(errors)}</span> : <span class="none">0</span>) },
  { key: "status", title: "Last", hint: "Status of the last answer, and how long it took", width: 108, rank: 5, right: true, show: (row) => (row.last_status ? `${row.last_status} · ${span(row.last_ms)}` : "–") },
  { key: "when", title: "Ago", hint: "Since the last answer", width: 66, rank: 10, right: true, show: ({ last_at: at }) => (at ? span(Date.now() - at) : "–") },
  { key: "interval", title: "Every", hint: "Time between requests", width: 66, rank: 7, right: true, show: (row) => span(row.interval_ms) },
  { key: "reason", title: "Reason", hint: "Why it fails, and when it is tried again", width: 100, grow: 2, rank: 11, show: (row) => <Name text={row.reason} /> },
];
