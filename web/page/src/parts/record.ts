// What is seen, as a file: JSON lines of events, or HAR 1.2 with the messages as Chrome writes them. The secrets are
// hidden already where they come from.

import { jsonOf, textOf } from "./bytes.js";
import type { Event, Handshake, Row } from "./messages.js";

export function jsonLines(events: Iterable<object>): string {
  return [...events].map((event) => `${JSON.stringify(event)}\n`).join("");
}

/** One entry: the handshake, and the messages as far as the page has them. */
export function har(row: Row, handshake: Handshake | null, events: Iterable<Event>): string {
  const [method = "GET", target = row.path ?? "/"] = (handshake?.request.line ?? "").split(" ");
  const status = /\b(\d{3})\b/.exec(handshake?.response.line ?? "")?.[1];
  const host = handshake?.request.headers.find(([name]) => name.toLowerCase() === "host")?.[1] ?? "localhost";
  const fields = (headers: [string, string][] = []) => headers.map(([name, value]) => ({ name, value }));
  const started = new Date(handshake?.at ?? row.opened_ms).toISOString();
  const total = (handshake?.timing?.["total_us"] ?? 0) / 1000;
  const sizes = { headersSize: -1, bodySize: -1 };
  const entry = {
    startedDateTime: started,
    time: total,
    request: {
      method,
      url: `${row.tls ? "wss" : "ws"}://${host}${target}`,
      httpVersion: "HTTP/1.1",
      headers: fields(handshake?.request.headers),
      queryString: [],
      cookies: [],
      ...sizes,
    },
    response: {
      status: Number(status ?? 0),
      statusText: "",
      httpVersion: "HTTP/1.1",
      headers: fields(handshake?.response.headers),
      cookies: [],
      content: { size: 0, mimeType: "x-unknown" },
      redirectURL: "",
      ...sizes,
    },
    cache: {},
    timings: { send: 0, wait: total, receive: 0 },
    _resourceType: "websocket",
    _webSocketMessages: [...events].flatMap(message),
  };
  const creator = { name: "Tidegate", version: "1" };
  return `${JSON.stringify({ log: { version: "1.2", creator, entries: [entry] } }, null, 1)}\n`;
}

/** A message: a frame that is one by itself, or what several frames carried. */
function message(event: Event): object[] {
  const payload = event.plain ?? event.payload;
  const whole = event.type === "message" || (event.type === "frame" && event.fin && event.opcode !== 0);
  if (!payload || !whole || (event.op !== "text" && event.op !== "binary")) return [];
  const opcode = event.op === "text" ? 1 : 2;
  const data = opcode === 1 ? textOf(payload) : payload.enc === "base64" ? payload.data : btoa(payload.data);
  return [{ type: event.dir === "c2s" ? "send" : "receive", time: Date.parse(event.ts) / 1000, opcode, data }];
}

/** A text with the document in it laid out, as it is copied. */
export function laidOut(text: string): string {
  const document = jsonOf(text);
  return document ? JSON.stringify(document.value, null, 2) : text;
}
