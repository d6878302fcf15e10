// Who asked to connect not long ago, accepted or refused; a refused one with its reason and the setting to change.

import { HandshakeView } from "../handshake.js";
import { useKeys } from "../keys.js";
import type { Handshake, Told } from "../parts/messages.js";
import { jsonLines } from "../parts/record.js";
import { clock, count, micros } from "../parts/units.js";
import { choose, link, place } from "../place.js";
import { save } from "../save.js";
import { type Column, listed, Table } from "../table.js";
import { Empty, Inert, Name, Note } from "../text.js";
import { useRedraw, useWatch } from "../watch.js";
import { useRef, useState } from "preact/hooks";

interface List extends Told {
  rows: Handshake[];
}

const KEPT = 500;
const idOf = (row: Handshake) => `${row.at}:${row.connection ?? row.remote}`;

export function Handshakes() {
  const { only = "", at } = place.value.chosen;
  const all = useRef(new Map<string, Handshake>()).current;
  const [refused, setRefused] = useState<string>();
  const [came, setCame] = useState(false);
  const redraw = useRedraw();
  useWatch({ what: "handshakes" }, (message) => {
    if (message.type === "error") return setRefused(message.message);
    for (const row of (message as List).rows) all.set(idOf(row), row);
    setCame(true);
    return redraw();
  });
  const sorted = [...all.values()].sort((a, b) => b.at - a.at);
  for (const old of sorted.splice(KEPT)) all.delete(idOf(old));
  const no = sorted.filter((row) => row.refused);
  const rows = only === "refused" ? no : sorted;
  const selected = rows.find((row) => idOf(row) === at);
  const exported = () => save("handshakes.jsonl", "application/x-ndjson", jsonLines(rows));
  const swap = () => choose({ only: only ? undefined : "refused", at: undefined });
  useKeys({ Escape: () => choose({ at: undefined }), "[": swap, "]": swap, e: exported });
  return (
    <section class="view">
      <div class="tools">
        <h1 class="unseen">Handshakes</h1>
        <div class="tabs" role="tablist" aria-label="Which handshakes">
          <button type="button" role="tab" aria-selected={!only} onClick={() => choose({ only: undefined, at: undefined })}>
            All <small>{count(sorted.length)}</small>
          </button>
          <button type="button" role="tab" aria-selected={only === "refused"} title="Those that the gateway said no to" onClick={() => choose({ only: "refused", at: undefined })}>
            Refused <small>{count(no.length)}</small>
          </button>
        </div>
        <span class="push" />
        <button type="button" title="Save these rows as JSON lines (e)" disabled={!rows.length} onClick={exported}>
          Export
        </button>
      </div>
      {refused && <Note kind="error">{refused}</Note>}
      <div class={`split wide${selected ? " opened" : ""}`}>
        <div class="side">
          <Table
            label="Handshakes"
            columns={COLUMNS}
            rows={listed(rows)}
            id={idOf}
            tone={(row) => (row.refused ? "fault" : undefined)}
            selected={at}
            select={(row) => choose({ at: idOf(row) })}
            empty={came && <Empty>{only ? "Nobody was refused not long ago." : "Nobody has asked to connect not long ago."}</Empty>}
          />
        </div>
        {selected && (
          <aside class="detail" aria-label="The handshake that is selected">
            <header>
              <h2>
                <Name text={selected.request.line} />
              </h2>
              <p>
                {clock(new Date(selected.at))}
                {selected.connection && <a href={link(["connection", selected.connection])}>{selected.connection}</a>}
              </p>
              <button type="button" class="quiet" aria-label="Close (Esc)" onClick={() => choose({ at: undefined })}>
                ✕
              </button>
            </header>
            <HandshakeView handshake={selected} />
          </aside>
        )}
      </div>
    </section>
  );
}

const status = ({ response }: Handshake) => /\b\d{3}\b/.exec(response.line)?.[0] ?? "–";

const COLUMNS: Column<Handshake>[] = [
  { key: "time", title: "Time", hint: "When, by the clock of this machine", width: 96, rank: 2, mono: true, show: ({ at }) => clock(new Date(at)) },
  { key: "status", title: "Status", hint: "What the gateway answered", width: 56, rank: 0, right: true, show: (row) => <b class={row.refused ? "bad" : "good"}>{status(row)}</b> },
  { key: "line", title: "Request", hint: "The request's first line; secrets in it are hidden", width: 130, grow: 2, rank: 1, mono: true, show: ({ request }) => <Name text={request.line} /> },
  { key: "remote", title: "Client", hint: "The client's address", width: 120, rank: 5, mono: true, show: ({ remote }) => <Name text={remote} /> },
  { key: "connection", title: "Connection", hint: "What came of it", width: 84, rank: 6, mono: true, show: ({ connection }) => connection ?? "–" },
  { key: "faults", title: "Broken", hint: "Requirements of RFC 6455 that are not met", width: 64, rank: 7, right: true, show: ({ checks }) => checks.filter(({ outcome }) => outcome === "broken").length || <span class="none">0</span> },
  { key: "total", title: "Took", hint: "From the request to the answer", width: 70, rank: 8, right: true, show: ({ timing }) => micros(timing?.["total_us"]) },
  { key: "setting", title: "Setting", hint: "The setting that says no", width: 120, rank: 4, mono: true, show: ({ refused }) => refused?.setting ?? "" },
  { key: "reason", title: "Reason", hint: "Why it was refused", width: 120, grow: 3, rank: 3, show: ({ refused }) => (refused ? <Inert text={refused.reason} /> : "") },
];
