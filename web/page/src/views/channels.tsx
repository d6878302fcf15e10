// Channels: a list, and one of them with its newest publications and a box to publish from.

import { useEffect, useRef, useState } from "preact/hooks";
import { Message } from "../acts.js";
import { ask } from "../gateway.js";
import { useKeys } from "../keys.js";
import type { ChannelRow, Publication, Told } from "../parts/messages.js";
import { Ring } from "../parts/ring.js";
import { bytes, clock, count, rate } from "../parts/units.js";
import { choose, go, link, place } from "../place.js";
import { PayloadView } from "../payload.js";
import { Search } from "../search.js";
import { type Column, listed, Table } from "../table.js";
import { Empty, Inert, Name, Note } from "../text.js";
import { useNewest, useRedraw, useWatch } from "../watch.js";

interface List extends Told {
  total: number;
  rows: ChannelRow[];
}

const LIMIT = 500;
/** Publications that the page keeps. */
const KEPT = 1000;

export function Channels() {
  const { prefix = "", sort = "rate", at } = place.value.chosen;
  const { newest, refused } = useNewest<List>({ what: "channels", prefix, sort, limit: LIMIT });
  useKeys({ Escape: () => choose({ prefix: undefined }) });
  const empty = prefix
    ? "No channel's name begins like this."
    : "There is no channel just now. One begins when somebody follows it, or publishes to it.";
  return (
    <section class="view list">
      <div class="tools">
        <h1>
          Channels {newest && <small>{count(newest.total)}</small>}
        </h1>
        <Search label="The beginning of a channel's name" placeholder="Begins with: quotes/" value={prefix} change={(text) => choose({ prefix: text })} />
      </div>
      {refused && <Note kind="error">{refused}</Note>}
      <Table
        label="Channels"
        columns={COLUMNS}
        rows={listed(newest?.rows ?? [])}
        id={({ channel }) => channel}
        tone={({ source }) => (source?.state === "failing" ? "fault" : undefined)}
        selected={at}
        select={({ channel }) => choose({ at: channel })}
        open={({ channel }) => go(["channel", channel])}
        sorted={sort}
        sort={(column) => choose({ sort: column })}
        empty={newest && <Empty>{empty}</Empty>}
      />
    </section>
  );
}

const COLUMNS: Column<ChannelRow>[] = [
  { key: "name", title: "Channel", hint: "Its name: the path without the leading slash", width: 140, grow: 3, rank: 0, mono: true, show: ({ channel }) => <Name text={channel || "/"} /> },
  { key: "kind", title: "Kind", hint: "What fills it: channel (publishers), poll, stream or auto", width: 76, rank: 4, show: ({ kind }) => kind ?? "–" },
  { key: "subscribers", title: "Subscribers", hint: "Subscriptions on all shards", width: 92, rank: 1, right: true, show: ({ subscribers }) => count(subscribers) },
  { key: "rate", title: "/s", hint: "Publications a second, over the last seconds", width: 64, rank: 2, right: true, show: (row) => rate(row.rate) },
  { key: "history", title: "History", hint: "Publications that it keeps", width: 72, rank: 5, right: true, show: ({ history }) => count(history) },
  { key: "position", title: "Position", hint: "Where the newest publication stands", width: 110, rank: 7, mono: true, show: ({ position }) => <Name text={position} /> },
  { key: "present", title: "Present", hint: "Who is here, on channels with presence", width: 72, rank: 8, right: true, show: ({ present }) => (present === null || present === undefined ? "–" : count(present)) },
  { key: "source", title: "Source", hint: "How the backend that fills it is", width: 90, grow: 2, rank: 6, show: ({ source }) => <Source source={source} /> },
];

function Source({ source }: Pick<ChannelRow, "source">) {
  if (!source) return <span class="none">–</span>;
  const failing = source.state === "failing";
  return (
    <>
      <span class={failing ? "bad" : "good"}>{source.state}</span> {source.reason && <Name text={source.reason} />}
    </>
  );
}

interface ChannelTold extends Told {
  row: ChannelRow | null;
  publications: Publication[];
  lost?: number;
}

export function Channel({ name }: { name: string }) {
  const [row, setRow] = useState<ChannelRow>();
  const [refused, setRefused] = useState<string>();
  const kept = useRef(new Ring<Publication>(KEPT)).current;
  const lost = useRef(0);
  const [follow, setFollow] = useState(true);
  const redraw = useRedraw();
  const { at } = place.value.chosen;
  const take = (row: ChannelRow | null, publications: Publication[]) => {
    if (row) setRow(row);
    const known = new Set([...kept].map(({ position }) => position));
    for (const publication of publications) if (!known.has(publication.position)) kept.push(publication);
    redraw();
  };
  useWatch({ what: "channel", channel: name }, (message) => {
    if (message.type === "error") return setRefused(message.message);
    const told = message as ChannelTold;
    lost.current += told.lost ?? 0;
    return take(told.row, told.publications ?? []);
  });
  usePolled(name, refused !== undefined, (polled, publications) => take(refused === undefined ? null : polled, publications));
  useKeys({ Escape: () => (at === undefined ? go(["channels"]) : choose({ at: undefined })), f: () => setFollow(true) });
  const selected = at === undefined ? undefined : [...kept].find(({ position }) => position === at);
  const fillable = row === undefined || !row.kind || row.kind === "channel";
  return (
    <section class="view one">
      <div class="title">
        <a href={link(["channels"])} title="All channels (Esc)">
          Channels
        </a>
        <h1 class="mono">
          <Inert text={name || "/"} />
        </h1>
        {row?.source && <span class={`chip ${row.source.state === "failing" ? "fault" : "open"}`}>{row.source.state}</span>}
      </div>
      {row && <Facts row={row} />}
      {row?.source?.reason && (
        <Note kind="warning">
          <Inert text={row.source.reason} most={1000} />
        </Note>
      )}
      {refused && !row && <Note kind="warning">{refused}</Note>}
      <div class={`split${selected ? " opened" : ""}`}>
        <div class="side">
          <Table
            label="Publications"
            columns={PUBLICATIONS}
            rows={kept}
            id={({ position }) => position}
            selected={at}
            select={({ position }) => {
              setFollow(false);
              choose({ at: position });
            }}
            follow={follow && at === undefined}
            following={setFollow}
            empty={<Empty>Nothing is kept of this channel, and nothing has come since this view was opened.</Empty>}
          />
          <p class="foot" role="status">
            <span>{count(kept.length)} publications</span>
            {lost.current > 0 && <span class="warn">{count(lost.current)} lost</span>}
          </p>
        </div>
        {selected && (
          <aside class="detail" aria-label="The publication that is selected">
            <header>
              <h2 class="mono">{selected.position}</h2>
              <p>{clock(new Date(selected.at))}</p>
              <button type="button" class="quiet" aria-label="Close (Esc)" onClick={() => choose({ at: undefined })}>
                ✕
              </button>
            </header>
            <PayloadView
              payload={{ enc: selected.payload === "binary" ? "base64" : "utf8", data: selected.preview, truncated: selected.preview.length < selected.bytes && selected.payload !== "binary" }}
              name="publication"
            />
          </aside>
        )}
      </div>
      {fillable && <Message label="Publish" path={`/channels/${path(name)}`} act="Publish" />}
    </section>
  );
}

interface Polled {
  kind?: string;
  position: string | null;
  subscribers: number;
  history: number;
  count?: number;
  source?: ChannelRow["source"];
  publications?: { position: string; data?: unknown; text?: string; binary?: string }[];
}

/** From one look to the next. */
const LOOK_MS = 1000;

/** What is kept already: a watch tells what comes. A channel that cannot be watched is looked at once a second. */
function usePolled(name: string, again: boolean, take: (row: ChannelRow, publications: Publication[]) => void): void {
  const newest = useRef(take);
  newest.current = take;
  useEffect(() => {
    const look = async () => {
      const answer = await ask<Polled>(`/channels/${path(name)}?limit=100`);
      if (!("value" in answer)) return;
      const { publications = [], kind = null, source = null, count = null, ...rest } = answer.value;
      newest.current({ channel: name, kind, source, present: count, rate: null, ...rest }, publications.map(publicationOf));
    };
    void look();
    const timer = again ? setInterval(look, LOOK_MS) : undefined;
    return () => clearInterval(timer);
  }, [name, again]);
}

function publicationOf({ position, data, text, binary }: NonNullable<Polled["publications"]>[number]): Publication {
  const preview = binary ?? text ?? JSON.stringify(data);
  const payload = binary === undefined ? (text === undefined ? "json" : "text") : "binary";
  const bytes = binary === undefined ? new TextEncoder().encode(preview).length : atob(binary).length;
  return { position, at: Date.now(), bytes, preview, payload };
}

/** A channel's name as the calls of the admin listener have it. */
function path(name: string): string {
  return name === "" || name === "/" ? "%2F" : name.split("/").map(encodeURIComponent).join("/");
}

function Facts({ row }: { row: ChannelRow }) {
  const facts: [string, string, string][] = [
    ["Kind", "What fills it", row.kind ?? "–"],
    ["Subscribers", "Subscriptions on all shards", count(row.subscribers)],
    ["Rate", "Publications a second", `${rate(row.rate)} /s`],
    ["History", "Publications that it keeps", count(row.history)],
    ["Position", "Where the newest publication stands", row.position ?? "–"],
  ];
  if (row.present !== null && row.present !== undefined) facts.push(["Present", "Who is here", count(row.present)]);
  return (
    <dl class="facts">
      {facts.map(([name, hint, value]) => (
        <div key={name} title={hint}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

const PUBLICATIONS: Column<Publication>[] = [
  { key: "position", title: "Position", hint: "Its place in the channel", width: 110, rank: 2, mono: true, show: ({ position }) => position },
  { key: "time", title: "Time", hint: "When it was published, by the clock of this machine", width: 96, rank: 3, mono: true, show: ({ at }) => clock(new Date(at)) },
  { key: "kind", title: "Kind", hint: "JSON, other text, or bytes", width: 60, rank: 4, show: ({ payload }) => payload },
  { key: "size", title: "Size", hint: "Bytes of the payload", width: 72, rank: 1, right: true, show: (row) => bytes(row.bytes) },
  { key: "preview", title: "What it holds", hint: "The beginning of the payload; control characters stand as escapes", width: 120, grow: 1, rank: 0, mono: true, show: ({ preview }) => <Inert text={preview} most={300} /> },
];
