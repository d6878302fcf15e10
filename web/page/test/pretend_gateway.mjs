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
    if (what === "connection") tell({ type: "connection", id, row: rows(1)[0], handshake: null, level: "payload" });
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
  return tell({ type: what, id, total: 0, rows: [], publications: [], row: null });
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
