// Rows of events with one of them opened: follows the end, pauses, filters, exports. Where the events come from is the
// caller's.

import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { Detail } from "./detail.js";
import { feedState } from "./gateway.js";
import { useKeys } from "./keys.js";
import { letters } from "./parts/bits.js";
import { textOf } from "./parts/bytes.js";
import { nameOf } from "./parts/codes.js";
import { type Facts, shown as payloadOf } from "./parts/filter.js";
import type { Event, Handshake, Row, Told, Wish } from "./parts/messages.js";
import { har, jsonLines } from "./parts/record.js";
import { idOf, Stream } from "./parts/stream.js";
import { bytes, clock, count, micros } from "./parts/units.js";
import { choose, place } from "./place.js";
import { save } from "./save.js";
import { Search } from "./search.js";
import { type Column, Table } from "./table.js";
import { Empty, Inert, Note } from "./text.js";
import { useRedraw, useWatch } from "./watch.js";

interface Shown {
  /** What the gateway is asked for; what it tells beside events goes to `told`. */
  wish: Wish | undefined;
  told?(message: Told): void;
  name: string;
  facts(event: Event): Facts;
  /** Whether rows say which connection they are of. */
  many?: boolean;
  /** With which it can be saved as HAR. */
  record?: { row: Row; handshake: Handshake | null } | undefined;
  empty: ComponentChildren;
}

export function Events(shown: Shown) {
  const { chosen } = place.value;
  const { filter = "", at } = chosen;
  const redraw = useRedraw();
  const stream = useRef<Stream | undefined>(undefined);
  const events = (stream.current ??= new Stream(shown.facts));
  const [follow, setFollow] = useState(at === undefined);
  const [refused, setRefused] = useState<string>();
  events.narrow(filter);
  // Where the configuration allows no payloads, headers are watched.
  const [level, setLevel] = useState("payload");
  const wish = shown.wish && { ...shown.wish, level };
  const live = feedState.value.name === "live";
  useEffect(() => events.begun(), [live, JSON.stringify(wish)]);
  useWatch(wish, (message) => {
    if (message.type === "events") {
      events.take(message["events"] as Event[], (message["lost"] as number | undefined) ?? 0);
      redraw();
    } else if (message.type === "error") {
      setRefused(message.message ?? "this is refused");
      if (level === "payload" && message.message?.includes("[inspect] watch")) setLevel("frames");
    } else {
      shown.told?.(message);
    }
  });
  const { shown: ring, frozen, lost, news } = events;
  const selected = at === undefined ? undefined : find(ring, at);
  const pause = () => {
    events.pause(!frozen);
    redraw();
  };
  const clear = () => {
    events.clear();
    choose({ at: undefined });
    redraw();
  };
  const close = () => choose({ at: undefined });
  const exported = () => save(`${shown.name}.jsonl`, "application/x-ndjson", jsonLines(ring));
  const recorded = () => {
    const { record } = shown;
    if (record) save(`${shown.name}.har`, "application/json", har(record.row, record.handshake, ring));
  };
  useKeys({
    " ": pause,
    f: () => setFollow(true),
    e: exported,
    ...(at === undefined ? (filter && { Escape: () => choose({ filter: undefined }) }) || {} : { Escape: close }),
  });
  const wrong = "wrong" in events.filter ? events.filter : undefined;
  return (
    <div class="events">
      <div class="tools">
        <Search
          label="Filter events"
          placeholder='Filter: dir:in op:text -op:ping len:>1k "word"'
          value={filter}
          change={(text) => choose({ filter: text })}
          wrong={wrong}
        />
        <button type="button" class={frozen ? "pressed" : ""} aria-pressed={!!frozen} title="Space" onClick={pause}>
          {frozen ? `Go on${news ? ` · ${count(news)} new` : ""}` : "Pause"}
        </button>
        <button type="button" title="Forget these rows" onClick={clear}>
          Clear
        </button>
        <button type="button" title="Save these rows as JSON lines (e)" disabled={!ring.length} onClick={exported}>
          Export
        </button>
        {shown.record && (
          <button type="button" title="Save handshake and messages as HAR" disabled={!ring.length} onClick={recorded}>
            HAR
          </button>
        )}
      </div>
      {refused && shown.wish && <Note kind={level === "frames" ? "warning" : "error"}>{refused}</Note>}
      <div class={`split${selected ? " opened" : ""}`}>
        <div class="side">
          <Table
            label="Events"
            columns={shown.many ? [...COLUMNS.slice(0, 2), CONNECTION, ...COLUMNS.slice(2)] : COLUMNS}
            rows={ring}
            id={idOf}
            tone={toneOf}
            selected={at}
            select={(event) => {
              setFollow(false);
              choose({ at: idOf(event) });
            }}
            open={(event) => choose({ at: idOf(event) })}
            follow={follow && !frozen && at === undefined}
            following={setFollow}
            empty={<Empty>{filter && events.all.length ? "No event is as the filter says." : shown.empty}</Empty>}
          />
          <p class="foot" role="status">
            <span>
              {count(ring.length)} {filter ? `of ${count(events.all.length)} events match` : "events"}
            </span>
            {events.all.begin > 0 && (
              <span title="The page keeps the newest 5,000 events">{count(events.all.begin)} older ones are not kept</span>
            )}
            {lost > 0 && (
              <span class="warn" title="More came than could be told; the gateway never waits for whoever watches">
                {count(lost)} lost
              </span>
            )}
            {!follow && !frozen && at === undefined && ring.length > 0 && (
              <button type="button" class="quiet" onClick={() => setFollow(true)}>
                Follow the newest (f)
              </button>
            )}
          </p>
        </div>
        {selected && <Detail key={at} event={selected} close={close} />}
      </div>
    </div>
  );
}

function find(ring: Stream["shown"], id: string): Event | undefined {
  for (let at = ring.end - 1; at >= ring.begin; at -= 1) {
    const event = ring.at(at);
    if (event && idOf(event) === id) return event;
  }
  return undefined;
}

function toneOf(event: Event): string | undefined {
  if (event.violations?.length || event.level === "error" || (event.type === "close" && !event.clean)) return "fault";
  if (event.type === "drop") return "loss";
  if (event.type !== "frame" && event.type !== "message") return "event";
  return event.op === "ping" || event.op === "pong" ? "faint" : undefined;
}

const CONNECTION: Column<Event> = {
  key: "conn",
  title: "Connection",
  hint: "The connection that it went over",
  width: 84,
  rank: 4,
  mono: true,
  show: ({ conn }) => conn ?? "",
};

const COLUMNS: Column<Event>[] = [
  { key: "n", title: "#", hint: "Its number on its connection", width: 56, rank: 7, right: true, show: ({ n }) => (n === undefined ? "" : count(n)) },
  { key: "time", title: "Time", hint: "When, by the clock of this machine", width: 96, rank: 3, mono: true, show: ({ ts }) => <span title={ts}>{clock(new Date(ts))}</span> },
  {
    key: "dir",
    title: "",
    hint: "The way: ↑ from the client, ↓ to the client",
    width: 16,
    rank: 0,
    show: ({ dir }) => (dir ? <span class={dir} title={dir === "c2s" ? "from the client" : "to the client"}>{dir === "c2s" ? "↑" : "↓"}</span> : ""),
  },
  { key: "op", title: "Kind", hint: "The opcode of a frame, or the type of the event", width: 84, rank: 1, show: (event) => <span class={`op op-${event.op ?? event.type}`}>{event.op ?? event.type}</span> },
  { key: "flags", title: "FR123M", hint: "Bits of the frame's header: FIN, RSV1 to RSV3, MASK; a dot for each that is not set", width: 58, rank: 6, mono: true, show: (event) => (event.type === "frame" ? <span class="letters">{letters(event)}</span> : "") },
  { key: "size", title: "Payload", hint: "Bytes of the payload as an application sees them", width: 72, rank: 2, right: true, show: (event) => (event.len === undefined ? "" : bytes(event.inflated ?? event.len)) },
  { key: "wire", title: "Wire", hint: "Bytes on the wire, the header counted", width: 72, rank: 8, right: true, show: ({ wire }) => (wire === undefined ? "" : bytes(wire)) },
  { key: "preview", title: "What it holds", hint: "The beginning of the payload; control characters stand as escapes", width: 240, grow: 1, rank: 0, mono: true, show: preview },
];

function preview(event: Event) {
  const words = wordsOf(event);
  const fault = event.violations?.[0];
  return (
    <>
      {fault && <b class="bad">{fault.text} </b>}
      {event.rtt_us !== undefined && <small>{micros(event.rtt_us)} after the ping </small>}
      {event.plain && event.len !== undefined && event.inflated ? <small title="compressed">{`${Math.round((event.len / event.inflated) * 100)} % `}</small> : ""}
      <Inert text={words} most={300} />
    </>
  );
}

/** An event in one line. */
function wordsOf(event: Event): string {
  switch (event.type) {
    case "frame":
    case "message": {
      if (event.op === "close") return closing(event);
      const payload = payloadOf(event);
      if (!payload) return "";
      return payload.enc === "utf8" ? payload.data : textOf(payload).slice(0, 200);
    }
    case "handshake":
      return event.start ?? `status ${event.status ?? ""}`;
    case "open":
      return `open ${event.url ?? ""}`;
    case "note":
      return event.message ?? "";
    case "drop":
      return `${event.count} ${event.what} not kept: ${event.reason ?? ""}`;
    case "close":
      return `${event.code} ${event.name ?? ""} ${event.reason ?? ""} ${event.what ?? ""}`;
    default:
      return JSON.stringify(event);
  }
}

function closing(event: Event): string {
  const code = event.code;
  if (code === undefined) return "no code";
  const payload = payloadOf(event);
  const reason = payload ? textOf(payload).slice(2) : "";
  return `${code} ${nameOf(code)}${reason && ` "${reason}"`}`;
}
