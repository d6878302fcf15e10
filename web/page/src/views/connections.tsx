// The list of connections: those that are open, slow, erroring, or ended not long ago.

import { useRef } from "preact/hooks";
import { useKeys } from "../keys.js";
import { isFault, nameOf } from "../parts/codes.js";
import type { Row, Told } from "../parts/messages.js";
import { chosen as rowsOf, PRESETS, type Preset, presetOf } from "../parts/presets.js";
import { Meter } from "../parts/rates.js";
import { jsonLines } from "../parts/record.js";
import { bytes, count, rate, span } from "../parts/units.js";
import { choose, go, place } from "../place.js";
import { save } from "../save.js";
import { Search } from "../search.js";
import { type Column, listed, Table } from "../table.js";
import { Empty, Name, Note } from "../text.js";
import { useNewest } from "../watch.js";

interface List extends Told {
  total: number;
  matched: number;
  rows: Row[];
  closed: Row[];
}

/** Rows that the gateway is asked for. */
const LIMIT = 500;

export function Connections() {
  const { chosen } = place.value;
  const { filter = "", sort = "activity", at } = chosen;
  const preset = presetOf(chosen["preset"]);
  const meter = useRef(new Meter()).current;
  const looked = useRef<List | undefined>(undefined);
  const asked = preset === "slow" ? "queue" : sort;
  const { newest, refused } = useNewest<List>({ what: "connections", filter, sort: asked, limit: LIMIT });
  if (newest && newest !== looked.current) {
    looked.current = newest;
    meter.look(newest.rows, performance.now());
  }
  const shown = newest ? rowsOf(preset, newest.rows, newest.closed ?? []) : [];
  const open = (row: Row) => go(["connection", row.id], row.close ? { tab: "close" } : {});
  const turn = (step: number) => {
    const next = (PRESETS.findIndex(([name]) => name === preset) + step + PRESETS.length) % PRESETS.length;
    choose({ preset: PRESETS[next]?.[0], at: undefined });
  };
  const exported = () => save(`connections-${preset}.jsonl`, "application/x-ndjson", jsonLines(shown));
  useKeys({ "[": () => turn(-1), "]": () => turn(1), e: exported, Escape: () => choose({ filter: undefined }) });
  return (
    <section class="view list">
      <div class="tools">
        <h1 class="unseen">Connections</h1>
        <Presets preset={preset} list={newest} />
        <Search
          label="Filter connections"
          placeholder="Filter: path:/quotes* user:42 ch:chat/* code:1006"
          value={filter}
          change={(text) => choose({ filter: text })}
        />
        <button type="button" title="Save these rows as JSON lines (e)" disabled={!shown.length} onClick={exported}>
          Export
        </button>
      </div>
      {refused && <Note kind="error">{refused}</Note>}
      <Table
        label="Connections"
        columns={preset === "closed" || preset === "erroring" ? ENDED : columns(meter)}
        rows={listed(shown)}
        id={(row) => row.id}
        tone={(row) => (row.state === "closed" ? "over" : undefined)}
        selected={at}
        select={(row) => choose({ at: row.id })}
        open={open}
        sorted={preset === "open" ? sort : undefined}
        sort={(column) => choose({ sort: column === sort ? undefined : column })}
        empty={newest && !refused ? <Nothing preset={preset} filter={filter} /> : undefined}
      />
      {newest && newest.matched > shown.length && preset === "open" && (
        <p class="foot">
          {count(shown.length)} of {count(newest.matched)} are shown, those that come first by {sort}. A filter finds the
          others.
        </p>
      )}
    </section>
  );
}

function Presets({ preset, list }: { preset: Preset; list: List | undefined }) {
  return (
    <div class="tabs" role="tablist" aria-label="Which connections">
      {PRESETS.map(([name, title, hint]) => (
        <button
          key={name}
          type="button"
          role="tab"
          aria-selected={name === preset}
          title={hint}
          onClick={() => choose({ preset: name === "open" ? undefined : name, at: undefined })}
        >
          {title}
          {list && <small>{count(name === "open" ? list.matched : rowsOf(name, list.rows, list.closed ?? []).length)}</small>}
        </button>
      ))}
    </div>
  );
}

function Nothing({ preset, filter }: { preset: Preset; filter: string }) {
  if (filter) return <Empty>No connection is as the filter says.</Empty>;
  const words: Record<Preset, string> = {
    open: "Nobody is connected just now. Connect, and the row appears here.",
    slow: "Nothing waits for any client: all of them keep up.",
    erroring: "No connection has ended badly in the last 15 minutes.",
    closed: "No connection has ended in the last 15 minutes.",
  };
  return <Empty>{words[preset]}</Empty>;
}

const WHO: Column<Row>[] = [
  {
    key: "state",
    title: "",
    hint: "State: open, closing (a close has been sent), closed",
    width: 12,
    rank: 0,
    show: ({ state }) => <span class={`state ${state}`} title={state} aria-label={state} role="img" />,
  },
  { key: "id", title: "Id", hint: "The connection's name: its shard, and its place there", width: 76, rank: 2, mono: true, show: ({ id }) => id },
  {
    key: "door",
    title: "Door",
    hint: "How it came in: WebSocket, tidegate.v1, server-sent events, lines of JSON, long poll; and over which HTTP and TLS",
    width: 136,
    rank: 5,
    show: (row) => (
      <>
        {DOORS[row.door] ?? row.door} <small title={row.tls ? `TLS ${row.tls}` : "without TLS"}>{`${row.transport}${row.tls ? " tls" : ""}`}</small>
      </>
    ),
  },
  { key: "remote", title: "Client", hint: "The client's address, as trusted proxies say it", width: 120, rank: 4, mono: true, show: ({ remote }) => <Name text={remote} /> },
  { key: "path", title: "Path", hint: "The path that was asked for; the route that it belongs to is its title", width: 140, grow: 3, rank: 0, mono: true, show: ({ path, route }) => <span title={`route ${route}`}><Name text={path ?? route} /></span> },
  { key: "user", title: "User", hint: "Whose token it came with", width: 80, grow: 1, rank: 8, show: ({ user }) => <Name text={user} /> },
];

const CHANNELS: Column<Row> = {
  key: "channels",
  title: "Channels",
  hint: "What it follows",
  width: 90,
  grow: 2,
  rank: 10,
  show: ({ channels }) => (channels.length > 1 ? <span title={channels.join("\n")}>{channels.length} channels</span> : <Name text={channels[0]} />),
};

export const DOORS: Record<string, string> = {
  websocket: "WebSocket",
  "tidegate.v1": "tidegate.v1",
  event_stream: "SSE",
  ndjson: "NDJSON",
  longpoll: "long poll",
};

function columns(meter: Meter): Column<Row>[] {
  return [
    ...WHO,
    CHANNELS,
    { key: "age", title: "Age", hint: "Since it was opened", width: 78, rank: 6, right: true, show: (row) => span(Date.now() - row.opened_ms) },
    { key: "idle", title: "Idle", hint: "Since the last byte went either way", width: 68, rank: 7, right: true, show: (row) => span(row.idle_ms) },
    { key: "rtt", title: "RTT", hint: "From the last ping to its pong", width: 64, rank: 9, right: true, show: (row) => span(row.rtt_ms) },
    { key: "received", title: "↑ /s", hint: "Messages from the client, a second; all of them in the title", width: 56, rank: 11, right: true, show: (row) => <span title={`${count(row.received_messages)} messages, ${bytes(row.received_bytes)}`}>{rate(meter.of(row.id).received)}</span> },
    { key: "sent", title: "↓ /s", hint: "Messages to the client, a second; all of them in the title", width: 56, rank: 3, right: true, show: (row) => <span title={`${count(row.sent_messages)} messages, ${bytes(row.sent_bytes)}`}>{rate(meter.of(row.id).sent)}</span> },
    { key: "total", title: "↓ bytes", hint: "Bytes that went to the client", width: 76, rank: 12, right: true, show: (row) => bytes(row.sent_bytes) },
    { key: "queue", title: "Queue", hint: "What waits for the client: much of it means that the client does not keep up", width: 80, rank: 1, right: true, show: queue },
    { key: "compression", title: "Deflate", hint: "Compression: shared (once for all clients) or takeover (one context for this client); the share of the bytes that is left", width: 84, rank: 13, show: deflate },
  ];
}

function queue(row: Row) {
  if (!row.queue_bytes) return <span class="none">0</span>;
  const most = row.queue_max_bytes || 0;
  const part = most ? row.queue_bytes / most : 0;
  const title = `${count(row.queue_messages)} messages${most ? ` of ${bytes(most)} at most` : ""}`;
  return (
    <span class={part > 0.5 ? "bad" : "warn"} title={title}>
      {bytes(row.queue_bytes)}
    </span>
  );
}

function deflate({ compression, compression_parameters: parameters, deflate_ratio: ratio }: Row) {
  if (!compression || compression === "off") return <span class="none">off</span>;
  return <span title={parameters ?? undefined}>{`${compression}${ratio === null || ratio === undefined ? "" : ` ${Math.round(ratio * 100)} %`}`}</span>;
}

const ENDED: Column<Row>[] = [
  ...WHO,
  { key: "when", title: "Ended", hint: "How long ago it ended", width: 78, rank: 6, right: true, show: ({ close }) => (close ? span(Date.now() - close.at) : "–") },
  { key: "lived", title: "Lived", hint: "From the handshake to the end", width: 78, rank: 7, right: true, show: (row) => (row.close ? span(row.close.at - row.opened_ms) : "–") },
  {
    key: "code",
    title: "Code",
    hint: "The close code, and its name",
    width: 150,
    grow: 1,
    rank: 1,
    show: ({ close }) =>
      close && (
        <span class={isFault(close.code) ? "bad" : ""} title={close.meaning ?? undefined}>
          <b>{close.code}</b> {close.name ?? nameOf(close.code)}
        </span>
      ),
  },
  { key: "by", title: "By", hint: "Who ended it: the client, the gateway, the network or the backend", width: 70, rank: 3, show: ({ close }) => close?.by ?? "–" },
  { key: "happened", title: "What happened", hint: "What really happened, in words", width: 160, grow: 4, rank: 9, show: ({ close }) => <Name text={close?.what_happened} /> },
];
