// A pretended gateway for looking at the page and for measuring it: it serves dist/ and answers watches on /watch with
// rows and events that it makes up, RATE events a second. Nothing of it is a gateway's; what is true is tested with one.
// Usage: RATE; prints its address as JSON. The token is "pretend".

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";

const RATE = Number(process.argv[2] ?? 20);
const TOKEN = "pretend";
const dist = join(import.meta.dirname, "../dist");
const KINDS = { js: "text/javascript", css: "text/css", svg: "image/svg+xml" };
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const server = createServer((request, response) => {
  const path = new URL(request.url, "http://x").pathname;
  const [stem, , ending] = path.replace("/page/", "").split(".");
  if (path === "/") return send(response, "text/html", readFileSync(join(dist, "index.html")));
  if (path.startsWith("/page/")) return send(response, KINDS[ending], readFileSync(join(dist, `${stem}.${ending}`)));
  if (request.headers.authorization !== `Bearer ${TOKEN}`) return response.writeHead(401).end("no token\n");
  return send(response, "application/json", JSON.stringify({ connections: [], next: null }));
});

function send(response, kind, body) {
  response.writeHead(200, { "Content-Type": kind, "Content-Security-Policy": POLICY }).end(body);
}

server.on("upgrade", (request, socket) => {
  const accept = createHash("sha1").update(`${request.headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`);
  const offered = (request.headers["sec-websocket-protocol"] ?? "").split(/, */);
  if (!offered.includes(`bearer.${TOKEN}`)) return socket.end("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n");
  socket.write(
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
      `Sec-WebSocket-Accept: ${accept.digest("base64")}\r\nSec-WebSocket-Protocol: tidegate.watch.v1\r\n\r\n`,
  );
  serve(socket);
});

/** Reads small masked frames, writes text frames. */
function serve(socket) {
  let bytes = Buffer.alloc(0);
  const timers = new Map();
  const tell = (message) => socket.writable && socket.write(frame(Buffer.from(JSON.stringify(message))));
  socket.on("data", (more) => {
    bytes = Buffer.concat([bytes, more]);
    for (let read = take(bytes); read; read = take(bytes)) {
      bytes = bytes.subarray(read.size);
      if (read.opcode === 8) return socket.end();
      if (read.opcode === 1) answer(JSON.parse(read.payload.toString()), tell, timers);
    }
  });
  socket.on("error", () => {});
  socket.on("close", () => timers.forEach((timer) => clearInterval(timer)));
}

function take(bytes) {
  if (bytes.length < 6) return undefined;
  const short = bytes[1] & 0x7f;
  const head = short === 126 ? 8 : 6;
  if (bytes.length < head) return undefined;
  const length = short === 126 ? bytes.readUInt16BE(2) : short;
  if (bytes.length < head + length) return undefined;
  const key = bytes.subarray(head - 4, head);
  const payload = Buffer.from(bytes.subarray(head, head + length).map((byte, at) => byte ^ key[at % 4]));
  return { opcode: bytes[0] & 15, payload, size: head + length };
}

function frame(payload) {
  if (payload.length < 126) return Buffer.concat([Buffer.from([0x81, payload.length]), payload]);
  const head = Buffer.alloc(payload.length < 65536 ? 4 : 10);
  head[0] = 0x81;
  head[1] = payload.length < 65536 ? 126 : 127;
  if (payload.length < 65536) head.writeUInt16BE(payload.length, 2);
  else head.writeBigUInt64BE(BigInt(payload.length), 2);
  return Buffer.concat([head, payload]);
}

const begun = Date.now();
let made = 0;

function answer({ type, id, what, connection }, tell, timers) {
  const every = (milliseconds, act) => timers.set(id, setInterval(act, milliseconds));
  if (type === "unwatch") return clearInterval(timers.get(id));
  if (type === "body") return tell({ type: "body", id, encoding: "utf8", data: "all of it" });
  if (what === "figures") {
    tell({ type: "figures", id, past: Array.from({ length: 300 }, (_, at) => figures(begun - (300 - at) * 1000)), ...figures(begun) });
    return every(1000, () => tell({ type: "figures", id, ...figures(Date.now()) }));
  }
  if (what === "connections") {
    const list = () => tell({ type: "connections", id, total: 40, matched: 40, rows: rows(40), closed: [ended()] });
    list();
    return every(500, list);
  }
  if (what === "connection" || what === "events") {
    if (what === "connection") tell({ type: "connection", id, row: rows(1)[0], handshake: handshake(0), level: "payload" });
    let [due, last] = [0, performance.now()];
    return every(33, () => {
      const now = performance.now();
      due += ((now - last) / 1000) * RATE;
      last = now;
      const events = Array.from({ length: Math.floor(due) }, () => event(connection ?? "0-1.1"));
      due -= events.length;
      if (events.length) tell({ type: "events", id, events, lost: 0 });
    });
  }
  return tell({ type: what, id, ...LISTS[what]?.() });
}

const CHANNEL = { channel: "quotes/BTC", kind: "poll", position: "k3f9:1042", subscribers: 14, history: 100, rate: 1.2, present: null, source: { state: "running", reason: null } };
const BROKEN = { ...CHANNEL, channel: "feeds/weather", rate: 0, subscribers: 2, source: { state: "failing", reason: "cannot connect to http://127.0.0.1:3001: connection refused" } };

const LISTS = {
  channels: () => ({ total: 2, rows: [CHANNEL, BROKEN] }),
  channel: () => ({
    row: CHANNEL,
    lost: 0,
    publications: Array.from({ length: 40 }, (_, at) => {
      const preview = JSON.stringify({ symbol: "BTC", price: 60_000 + at });
      return { position: `k3f9:${at + 1000}`, at: begun - (40 - at) * 900, bytes: preview.length, preview, payload: "json" };
    }),
  }),
  backends: () => ({
    rows: [
      { channel: "quotes/BTC", kind: "poll", url: "http://127.0.0.1:3000/quotes/BTC", state: "running", reason: null, requests: 1042, not_modified: 930, changes: 112, errors: 0, last_status: 304, last_ms: 1.2, last_at: begun, interval_ms: 1000, retry_at: null },
      { channel: "feeds/weather", kind: "poll", url: "http://127.0.0.1:3001/weather", state: "failing", reason: BROKEN.source.reason, requests: 31, not_modified: 0, changes: 3, errors: 12, last_status: null, last_ms: null, last_at: begun - 70_000, interval_ms: 1000, retry_at: begun + 9000 },
    ],
  }),
  handshakes: () => ({ rows: [0, 1, 2, 3].map(handshake) }),
};

function handshake(at) {
  const headers = [["Host", "127.0.0.1:8080"], ["Upgrade", "websocket"], ["Connection", "Upgrade"], ["Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="], ["Sec-WebSocket-Version", "13"], ["Origin", at === 2 ? "https://evil.example" : "https://app.example"], ["Cookie", "[hidden]"], ["Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits"]];
  const met = (part, what, section, found) => ({ part, ok: true, outcome: "met", what, section, found, mend: null });
  const checks = [met("request", "the method is GET", "RFC 6455, section 4.1", "GET"), met("request", "Upgrade names websocket", "RFC 6455, section 4.2.1", "websocket"), met("request", "the key is 16 bytes in base64", "RFC 6455, section 4.1", "16 bytes"), met("request", "the version is 13", "RFC 6455, section 4.1", "13")];
  if (at === 2) {
    const broken = { part: "request", ok: false, outcome: "broken", what: "the Origin is one that may connect", section: "RFC 6455, section 4.2.2", found: "https://evil.example", mend: 'add it to [access] origins = ["https://evil.example"]' };
    return { at: begun - 4000, connection: null, remote: "203.0.113.9", request: { line: "GET /quotes/BTC HTTP/1.1", headers }, response: { line: "HTTP/1.1 403 Forbidden", headers: [["Content-Type", "text/plain"]] }, as_written: true, checks: [...checks, broken], refused: { status: 403, reason: "pages of https://evil.example may not connect", setting: "access.origins" }, timing: { tcp_us: null, tls_us: null, head_us: 90, auth_us: 4, backend_us: null, total_us: 120 } };
  }
  const answer = [["Upgrade", "websocket"], ["Connection", "Upgrade"], ["Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="], ["Sec-WebSocket-Extensions", "permessage-deflate; server_no_context_takeover; client_no_context_takeover"]];
  const accept = met("answer", "Sec-WebSocket-Accept fits the key", "RFC 6455, section 4.2.2", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  const noted = { part: "answer", ok: true, outcome: "noted", what: "compression costs 39 KiB while a message is packed, and nothing in between", section: "RFC 7692, section 7.1.1", found: null, mend: null };
  return { at: begun - at * 800, connection: `0-${at + 1}.1`, remote: "203.0.113.1", request: { line: "GET /quotes/BTC?token=[hidden] HTTP/1.1", headers }, response: { line: "HTTP/1.1 101 Switching Protocols", headers: answer }, as_written: true, checks: [...checks, accept, noted], refused: null, timing: { tcp_us: 210, tls_us: 1900, head_us: 140, auth_us: 60, backend_us: 840, total_us: 3150 } };
}

function figures(at) {
  const passed = (at - begun) / 1000 + 300;
  const sent = Math.round(passed * 900 + Math.sin(passed / 20) * 4000);
  const total = { sent_messages: sent, sent_bytes: sent * 120, received_messages: Math.round(passed * 8), received_bytes: Math.round(passed * 640) };
  const level = { connections: Math.round(40 + Math.sin(passed / 30) * 6), by_door: { websocket: 40 }, channels: 4, subscriptions: 80 };
  const rest = { publications: Math.round(passed * 20), accepted: Math.round(passed), refused: Math.round(passed / 9), closed: { 1000: Math.round(passed), 1006: Math.round(passed / 30) } };
  const process = { dropped: 0, queue_bytes: 0, cpu_ms: passed * 140, resident_bytes: 40e6 + passed * 2e3, backend_requests: passed * 3, backend_errors: 0 };
  return { at, figures: { ...total, ...level, ...rest, ...process } };
}

function rows(count) {
  const passed = (Date.now() - begun) / 1000;
  return Array.from({ length: count }, (_, at) => ({
    id: `${at % 2}-${(at + 1).toString(16)}.1`,
    state: "open",
    door: ["websocket", "tidegate.v1", "event_stream"][at % 3],
    transport: at % 4 ? "h1" : "h2",
    tls: at % 4 ? null : "1.3",
    remote: `203.0.113.${at + 1}`,
    route: "/quotes/{symbol}",
    path: `/quotes/${["BTC", "ETH", "SOL"][at % 3]}`,
    user: at % 5 ? null : `user-${at}`,
    subprotocol: null,
    channels: [`quotes/${["BTC", "ETH", "SOL"][at % 3]}`],
    opened_ms: begun - at * 61_000,
    idle_ms: (at * 130) % 2000,
    rtt_ms: at % 3 ? 0.4 + at : null,
    sent_messages: Math.round(passed * (at + 1)),
    sent_bytes: Math.round(passed * (at + 1) * 120),
    received_messages: 0,
    received_bytes: 0,
    queue_bytes: at === 3 ? 91_000 : 0,
    queue_messages: at === 3 ? 700 : 0,
    queue_max_bytes: 1 << 20,
    compression: at % 2 ? "shared" : null,
    compression_parameters: null,
    deflate_ratio: at % 2 ? 0.31 : null,
    close: null,
  }));
}

function ended() {
  const close = { at: begun, code: 1006, name: "abnormal closure", meaning: "", reason: "", by: "network", clean: false, what_happened: "the client's side ended with FIN without a close frame", hint: null };
  return { ...rows(1)[0], id: "0-ff.1", state: "closed", close };
}

function event(conn) {
  const n = (made += 1);
  const data = JSON.stringify({ symbol: "BTC", price: 60_000 + (n % 977), size: n % 31, at: Date.now(), note: "pretended" });
  const hdr = `817e00${data.length.toString(16).padStart(2, "0")}`;
  const bits = { fin: true, rsv: [0, 0, 0], opcode: 1, op: "text", masked: false, hdr };
  return { v: 1, ts: new Date().toISOString(), type: "frame", conn, n, dir: "s2c", ...bits, len: data.length, wire: data.length + 4, msg: n, frag: 0, us: 200, payload: { enc: "utf8", data, truncated: false } };
}

server.listen(0, "127.0.0.1", () => console.log(JSON.stringify({ url: `http://127.0.0.1:${server.address().port}/#token=${TOKEN}` })));
