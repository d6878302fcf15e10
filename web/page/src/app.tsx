// The frame around all views: where one is, how the connection to the gateway is, the keys that hold everywhere.

import { useEffect, useState } from "preact/hooks";
import { Door } from "./door.js";
import { feed, feedState, sampled, samples, token } from "./gateway.js";
import { Help } from "./help.js";
import { useKeys } from "./keys.js";
import { bytes, rate, short } from "./parts/units.js";
import { go, link, place } from "./place.js";
import { Backends } from "./views/backends.js";
import { Channels, Channel } from "./views/channels.js";
import { Connection } from "./views/connection.js";
import { Connections } from "./views/connections.js";
import { FiguresView } from "./views/figures.js";
import { Handshakes } from "./views/handshakes.js";
import { Live } from "./views/live.js";

const VIEWS = [
  ["connections", "Connections", "Who is connected, and how each of them is"],
  ["live", "Live", "Frames of all connections as they go by"],
  ["channels", "Channels", "What is published, and who follows it"],
  ["backends", "Backends", "The servers behind the gateway, and what they answer"],
  ["handshakes", "Handshakes", "Who asked to connect, and who was refused"],
  ["figures", "Figures", "How the gateway is, over time"],
] as const;

/** The view that a part of it belongs to. */
const WITHIN: Record<string, string> = { connection: "connections", channel: "channels" };

export function App() {
  const [help, setHelp] = useState(false);
  const [view = "connections", ...about] = place.value.path;
  const current = WITHIN[view] ?? view;
  useEffect(() => {
    document.title = `${VIEWS.find(([name]) => name === current)?.[1] ?? "Tidegate"} · Tidegate`;
  }, [current]);
  const numbers = VIEWS.map(([name], at) => [String(at + 1), () => go([name])] as const);
  useKeys({ ...Object.fromEntries(numbers), "?": () => setHelp(true) });
  if (token.value === undefined || feedState.value.name === "refused") return <Door />;
  return (
    <>
      <header class="bar">
        <a class="brand" href={link(["connections"])}>
          <Mark />
          Tidegate
        </a>
        <nav aria-label="Views">
          {VIEWS.map(([name, title, hint], at) => (
            <a href={link([name])} aria-current={name === current ? "page" : undefined} title={`${hint} (${at + 1})`}>
              {title}
            </a>
          ))}
        </nav>
        <Pulse />
        <button type="button" class="quiet" title="Keys and words of this page (?)" onClick={() => setHelp(true)}>
          ?
        </button>
      </header>
      <main key={view}>
        <View name={view} about={about} />
      </main>
      {help && <Help close={() => setHelp(false)} />}
    </>
  );
}

function View({ name, about }: { name: string; about: string[] }) {
  const [first = "", second = ""] = about;
  switch (name) {
    case "connection":
      return <Connection key={first} id={first} tab={second} />;
    case "live":
      return <Live />;
    case "channels":
      return <Channels />;
    case "channel":
      return <Channel key={first} name={first} />;
    case "backends":
      return <Backends />;
    case "handshakes":
      return <Handshakes />;
    case "figures":
      return <FiguresView />;
    default:
      return <Connections />;
  }
}

/** A few figures that tell at a glance whether the gateway lives, and the page with it. */
function Pulse() {
  const state = feedState.value;
  const [, tick] = useState(0);
  useEffect(() => {
    if (state.name !== "waiting") return undefined;
    const timer = setInterval(() => tick((count) => count + 1), 500);
    return () => clearInterval(timer);
  }, [state]);
  sampled.value;
  const [before, now] = [samples.at(samples.end - 2), samples.at(samples.end - 1)];
  const seconds = before && now ? Math.max(0.001, (now.at - before.at) / 1000) : 1;
  const sent = before && now ? Math.max(0, now.figures.sent_messages - before.figures.sent_messages) / seconds : null;
  if (state.name === "live") {
    return (
      <p class="pulse" role="status">
        {now && (
          <>
            <span title="Connections that are open now">
              <b>{short(now.figures.connections)}</b> open
            </span>
            <span title="Messages that the gateway sends to clients, a second">
              <b>{rate(sent)}</b> msg/s
            </span>
            {now.figures.resident_bytes !== undefined && (
              <span class="spare" title="Memory that the gateway's process takes">
                <b>{bytes(now.figures.resident_bytes)}</b>
              </span>
            )}
          </>
        )}
        <span class="dot ok" title="The gateway tells what happens as it happens">
          live
        </span>
      </p>
    );
  }
  const left = state.name === "waiting" ? Math.max(0, Math.ceil((state.until - Date.now()) / 1000)) : 0;
  return (
    <p class="pulse" role="status">
      <span class="dot bad">
        {state.name === "connecting" ? "connecting…" : `connection lost, next attempt in ${left} s`}
      </span>
      {state.name === "waiting" && (
        <button type="button" class="quiet" onClick={() => feed.start()}>
          Now
        </button>
      )}
    </p>
  );
}

export function Mark() {
  return (
    <svg class="mark" viewBox="0 0 32 32" aria-hidden="true">
      <path d="M5 21c3.7 0 3.7-4 7.300-4s3.700 4 7.400 4 3.600-4 7.300-4" />
      <path class="second" d="M5 13c3.700 0 3.700-4 7.300-4s3.700 4 7.400 4 3.600-4 7.300-4" />
    </svg>
  );
}
