// One connection: how it is, its handshake, its frames, its times, its end.

import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { CloseDialog } from "../acts.js";
import { Events } from "../events.js";
import { ask } from "../gateway.js";
import { HandshakeView } from "../handshake.js";
import { useKeys } from "../keys.js";
import { isFault, nameOf } from "../parts/codes.js";
import type { Handshake, Row, Told } from "../parts/messages.js";
import { bytes, clock, count, span } from "../parts/units.js";
import { go, link, place } from "../place.js";
import { Empty, Inert, Name, Note } from "../text.js";
import { Timing } from "../timing.js";
import { DOORS } from "./connections.js";

const TABS = [
  ["frames", "Frames", "Frame by frame, as they go by"],
  ["handshake", "Handshake", "The request and the answer, and what RFC 6455 asks of them"],
  ["timing", "Timing", "How long the handshake took, and what came of it since"],
  ["close", "Close", "How it ended, and why"],
] as const;

interface ConnectionTold extends Told {
  row: Row | null;
}

/** From one look at the row to the next. */
const LOOK_MS = 1000;

/** The row, looked at once a second until the connection has ended, and the handshake as long as the gateway keeps it. */
function useConnection(id: string) {
  const [row, setRow] = useState<Row>();
  const [handshake, setHandshake] = useState<Handshake>();
  const [refused, setRefused] = useState<string>();
  const ended = row?.state === "closed" || refused !== undefined;
  useEffect(() => {
    const look = async () => {
      const answer = await ask<Row>(`/connections/${encodeURIComponent(id)}`);
      if ("value" in answer) setRow(answer.value);
      else setRefused(answer.refused);
    };
    void look();
    if (ended) return undefined;
    const timer = setInterval(look, LOOK_MS);
    return () => clearInterval(timer);
  }, [id, ended]);
  useEffect(() => {
    void ask<{ handshakes: Handshake[] }>("/handshakes?limit=1000").then((answer) => {
      if ("value" in answer) setHandshake(answer.value.handshakes.find(({ connection }) => connection === id));
    });
  }, [id]);
  return { row, setRow, handshake: handshake ?? null, refused };
}

export function Connection({ id, tab }: { id: string; tab: string }) {
  const { row, setRow, handshake, refused } = useConnection(id);
  const [dialog, setDialog] = useState<"close">();
  const current = TABS.find(([name]) => name === tab)?.[0] ?? (place.value.chosen["tab"] === "close" ? "close" : "frames");
  const turn = (step: number) => {
    const at = TABS.findIndex(([name]) => name === current);
    const next = TABS[(at + step + TABS.length) % TABS.length];
    if (next) go(["connection", id, next[0]]);
  };
  const open = row !== undefined && row.state !== "closed";
  const took = (message: Told) => {
    const told = message as ConnectionTold;
    if (message.type === "connection" && told.row) setRow(told.row);
  };
  useKeys({
    "[": () => turn(-1),
    "]": () => turn(1),
    Escape: () => go(["connections"]),
    c: () => open && setDialog("close"),
  });
  const facts = () => ({ path: row?.path, user: row?.user, channels: row?.channels });
  return (
    <section class="view one">
      <div class="title">
        <a href={link(["connections"])} title="All connections (Esc)">
          Connections
        </a>
        <h1>
          <span class="mono">{id}</span>
          {row && <Name text={row.path ?? row.route} />}
        </h1>
        {row && <span class={`chip ${row.state}`}>{row.state}</span>}
        {row?.close && <CloseChip row={row} />}
        <span class="push" />
        <button type="button" title="Close this connection with a code (c)" disabled={!open} onClick={() => setDialog("close")}>
          Close…
        </button>
      </div>
      {row && <Facts row={row} />}
      {refused && !row && <Note kind="warning">{refused}</Note>}
      <div class="tabs" role="tablist" aria-label="Of this connection">
        {TABS.map(([name, title, hint]) => (
          <button key={name} type="button" role="tab" aria-selected={name === current} title={hint} onClick={() => go(["connection", id, name])}>
            {title}
          </button>
        ))}
      </div>
      {current === "frames" ? (
        <Events
          wish={row?.state === "closed" || refused ? undefined : { what: "connection", connection: id }}
          told={took}
          name={`connection-${id}`}
          facts={facts}
          record={row && { row, handshake }}
          empty={open ? "No frame has gone by since this view was opened." : "This connection has ended. Nobody watched its frames, so they are not kept."}
        />
      ) : (
        <div class="scroll">
          {current === "handshake" && (handshake ? <HandshakeView handshake={handshake} /> : <Empty>The gateway keeps the newest handshakes, and this one is not among them.</Empty>)}
          {current === "timing" && row && <Timing row={row} handshake={handshake} />}
          {current === "close" && (row?.close ? <Closed row={row} /> : row && <Empty>The connection is open.</Empty>)}
        </div>
      )}
      {dialog === "close" && <CloseDialog id={id} close={() => setDialog(undefined)} />}
    </section>
  );
}

function CloseChip({ row }: { row: Row }) {
  const { close } = row;
  if (!close) return null;
  return (
    <span class={`chip ${isFault(close.code) ? "fault" : ""}`}>
      {close.code} {close.name ?? nameOf(close.code)}
    </span>
  );
}

function Facts({ row }: { row: Row }) {
  const facts: [string, string, ComponentChildren][] = [
    ["Door", "How it came in", `${DOORS[row.door] ?? row.door} over ${row.transport}${row.tls ? `, TLS ${row.tls}` : ""}`],
    ["Client", "The client's address", <Name text={row.remote} />],
    ["Route", "The route that it belongs to", <Name text={row.route} />],
    ["User", "Whose token it came with", <Name text={row.user} none="nobody" />],
    ["Subprotocol", "What client and gateway agreed on", <Name text={row.subprotocol} none="none" />],
    ["Channels", "What it follows", <Channels row={row} />],
    ["Opened", new Date(row.opened_ms).toISOString(), row.close ? `${clock(new Date(row.opened_ms))}, for ${span(row.close.at - row.opened_ms)}` : `${span(Date.now() - row.opened_ms)} ago`],
    ["Idle", "Since the last byte went either way", span(row.idle_ms)],
    ["Round trip", "From the last ping to its pong", span(row.rtt_ms)],
    ["↑ from client", "Messages and bytes from the client", `${count(row.received_messages)} · ${bytes(row.received_bytes)}`],
    ["↓ to client", "Messages and bytes to the client", `${count(row.sent_messages)} · ${bytes(row.sent_bytes)}`],
    ["Queue", "What waits for the client", row.queue_bytes ? `${count(row.queue_messages)} · ${bytes(row.queue_bytes)}` : "empty"],
    ["Compression", "permessage-deflate, and the share of the bytes that is left", compression(row)],
  ];
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

function compression({ compression: kind, deflate_ratio: ratio }: Row): string {
  if (!kind || kind === "off") return "off";
  return ratio === null || ratio === undefined ? kind : `${kind}, ${Math.round(ratio * 100)} %`;
}

function Channels({ row: { channels } }: { row: Row }) {
  if (!channels.length) return <span class="none">none</span>;
  const [first = "", ...others] = channels;
  return (
    <span title={others.length ? channels.join("\n") : undefined}>
      <a href={link(["channel", first])}>
        <Inert text={first} />
      </a>
      {others.length > 0 && ` and ${others.length} more`}
    </span>
  );
}

const BY: Record<string, string> = {
  client: "the client",
  gateway: "the gateway",
  network: "the network: no side said goodbye",
  backend: "the backend",
};

function Closed({ row }: { row: Row }) {
  const { close } = row;
  if (!close) return null;
  return (
    <div class="closed">
      <p class="big">
        <b class={isFault(close.code) ? "bad" : "good"}>{close.code}</b> {close.name ?? nameOf(close.code)}
      </p>
      {close.meaning && <p>{close.meaning}</p>}
      <dl class="pairs">
        <Pair name="Reason">{close.reason ? <Inert text={close.reason} /> : <span class="none">none was given</span>}</Pair>
        <Pair name="By">{BY[close.by ?? ""] ?? close.by ?? "nobody knows"}</Pair>
        <Pair name="Clean">{close.clean ? "yes: Close frames went both ways" : "no"}</Pair>
        {close.end && <Pair name="The bytes ended by">{close.end}</Pair>}
        {close.limit && (
          <Pair name="Limit">
            <code>{close.limit}</code>
          </Pair>
        )}
        <Pair name="At">{new Date(close.at).toISOString()}</Pair>
        <Pair name="Lived">{span(close.at - row.opened_ms)}</Pair>
        {close.idle_ms !== undefined && close.idle_ms !== null && <Pair name="Silent before it">{span(close.idle_ms)}</Pair>}
        {close.what_happened && (
          <Pair name="What happened">
            <Inert text={close.what_happened} most={2000} />
          </Pair>
        )}
      </dl>
      {close.hint && (
        <Note kind="warning">
          <Inert text={close.hint} most={2000} />
        </Note>
      )}
    </div>
  );
}

function Pair({ name, children }: { name: string; children: ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
