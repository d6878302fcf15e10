// HTTP/2 by Node's own client, without TLS, all on one connection. Usage: URL WHAT. Tells what it sees as JSON lines
// on stdout. WebSocket frames are written by hand here, for Node has no WebSocket client that speaks RFC 8441.

import { connect, constants } from "node:http2";

const tell = (event, fields) => console.log(JSON.stringify({ event, ...fields }));
const [url, what] = process.argv.slice(2);
const client = connect(url);
const settings = new Promise((resolve) => client.once("remoteSettings", resolve));

function frame(opcode, payload) {
  const bytes = Buffer.from(payload);
  const length =
    bytes.length < 126 ? [0x80 | bytes.length] : [0x80 | 126, bytes.length >> 8, bytes.length & 0xff];
  const key = [0x11, 0x22, 0x33, 0x44];
  bytes.forEach((byte, at) => (bytes[at] = byte ^ key[at % 4]));
  return Buffer.concat([Buffer.from([0x80 | opcode, ...length, ...key]), bytes]);
}

/** A WebSocket on a stream of its own: what comes waits until it is asked for. */
class Socket {
  constructor(path, fields = {}) {
    this.bytes = Buffer.alloc(0);
    this.arrived = () => {};
    this.stream = client.request({
      ":method": "CONNECT",
      ":protocol": "websocket",
      ":path": path,
      "sec-websocket-version": "13",
      ...fields,
    });
    this.response = new Promise((resolve, reject) => {
      this.stream.once("response", resolve);
      this.stream.once("error", reject);
    });
    this.ended = new Promise((resolve) => this.stream.once("close", () => resolve(this.stream.rstCode)));
    this.stream.on("data", (data) => {
      this.bytes = Buffer.concat([this.bytes, data]);
      this.arrived();
    });
  }

  send(opcode, payload) {
    this.stream.write(frame(opcode, payload));
  }

  async take(count) {
    while (this.bytes.length < count) await new Promise((resolve) => (this.arrived = resolve));
    const taken = this.bytes.subarray(0, count);
    this.bytes = this.bytes.subarray(count);
    return taken;
  }

  /** The next frame that is no Ping. */
  async receive() {
    const [first, second] = await this.take(2);
    let length = second;
    if (second === 126) length = (await this.take(2)).readUInt16BE();
    if (second === 127) length = Number((await this.take(8)).readBigUInt64BE());
    const payload = await this.take(length);
    if (first !== 0x89) return { opcode: first & 15, payload };
    this.send(10, payload);
    return this.receive();
  }

  async text() {
    return (await this.receive()).payload.toString();
  }
}

/** An ordinary request: status, fields and body. */
function ask(fields, body) {
  const stream = client.request(fields);
  return new Promise((resolve, reject) => {
    const pieces = [];
    let head;
    stream.on("response", (response) => (head = response));
    stream.on("data", (data) => pieces.push(data));
    stream.on("end", () => resolve({ status: head?.[":status"], head, body: Buffer.concat(pieces) }));
    stream.on("error", reject);
    stream.end(body);
  });
}

async function events(path, count) {
  const stream = client.request({ ":path": path, accept: "text/event-stream" });
  let text = "";
  const seen = [];
  for await (const piece of stream) {
    text += piece;
    const data = [...text.matchAll(/^data: (.*)$/gm)].map((match) => match[1]);
    seen.splice(0, seen.length, ...data.filter((line) => !line.includes("position")));
    if (seen.length >= count) break;
  }
  return seen;
}

const scenes = {
  // Twenty WebSockets, an event stream and ordinary requests side by side.
  async stay() {
    tell("settings", { connect: (await settings).enableConnectProtocol });
    const sockets = Array.from({ length: 20 }, () => new Socket("/x"));
    const heads = await Promise.all(sockets.map((socket) => socket.response));
    tell("opened", { statuses: [...new Set(heads.map((head) => head[":status"]))], fields: Object.keys(heads[0]) });
    const seen = events("/x", 2);
    tell("first", { texts: [...new Set(await Promise.all(sockets.map((socket) => socket.text())))] });
    sockets.forEach((socket) => socket.send(1, "hello"));
    tell("answer", { texts: [...new Set(await Promise.all(sockets.map((socket) => socket.text())))] });
    const { status, head, body } = await ask({ ":path": "/plain", cookie: ["a=1", "b=2"] });
    tell("plain", { status, head, body: body.toString() });
    tell("change", { texts: [...new Set(await Promise.all(sockets.map((socket) => socket.text())))] });
    tell("events", { seen: await seen });
    sockets.forEach((socket) => socket.send(8, [0x03, 0xe8]));
    const closes = await Promise.all(sockets.map((socket) => socket.receive()));
    const codes = closes.map(({ opcode, payload }) => opcode === 8 && payload.readUInt16BE());
    sockets.forEach((socket) => socket.stream.end());
    const ends = await Promise.all(sockets.map((socket) => socket.ended));
    tell("closed", { codes: [...new Set(codes)], ends: [...new Set(ends)] });
  },

  // A body of 3 MiB there and back, far beyond every window.
  async large() {
    const sent = Buffer.alloc(3 * 1024 * 1024, "0123456789abcdefghi");
    const { status, body } = await ask({ ":method": "POST", ":path": "/echo" }, sent);
    tell("echoed", { status, equal: sent.equals(body) });
    const head = await ask({ ":method": "HEAD", ":path": "/plain" });
    tell("head", { status: head.status, length: head.head["content-length"], body: head.body.length });
    const none = await ask({ ":path": "/204" });
    tell("none", { status: none.status, body: none.body.length });
  },

  // Streams that are reset in the middle of things, beside one that stays.
  async resets() {
    const stays = new Socket("/x");
    await stays.text();
    const slow = client.request({ ":path": "/slow" });
    slow.on("error", () => {});
    const torn = new Socket("/x");
    await torn.text();
    tell("waiting");
    torn.stream.write(Buffer.from([0x81, 0xfe, 0x10]));
    torn.stream.close(constants.NGHTTP2_CANCEL);
    const halved = new Socket("/x");
    await halved.text();
    halved.stream.end();
    tell("halved", { reset: await halved.ended });
    slow.close(constants.NGHTTP2_CANCEL);
    stays.send(1, "hello");
    tell("stays", { text: await stays.text() });
    const broken = await ask({ ":path": "/broken" }).catch((error) => ({ error: error.code }));
    tell("broken", broken);
    tell("after", { status: (await ask({ ":path": "/plain" })).status });
  },

  // What is refused, and that nothing else ends by it.
  async refusals() {
    const stays = new Socket("/x");
    await stays.text();
    const attempts = {
      protocol: { ":protocol": "webtransport" },
      version: { "sec-websocket-version": "12" },
      origin: { origin: "http://evil.example" },
      authority: { ":authority": "evil.example" },
      path: { ":path": "/nothing-here" },
    };
    for (const [name, fields] of Object.entries(attempts)) {
      const socket = new Socket("/x", fields);
      tell("refused", { name, status: (await socket.response)[":status"] });
      socket.stream.close();
    }
    stays.send(1, "hello");
    tell("stays", { text: await stays.text() });
  },

  // Follows a channel until the gateway closes it.
  async follow() {
    const socket = new Socket("/x", { "sec-websocket-protocol": "tidegate.v1" });
    tell("opened", { protocol: (await socket.response)["sec-websocket-protocol"] });
    client.once("goaway", (code) => tell("goaway", { code }));
    for (;;) {
      const { opcode, payload } = await socket.receive();
      if (opcode === 8) {
        tell("closed", { code: payload.readUInt16BE() });
        socket.send(8, payload.subarray(0, 2));
        break;
      }
      tell("message", { data: payload.toString() });
    }
    socket.stream.end();
    tell("ended", { reset: await socket.ended });
  },
};

await scenes[what]();
client.destroy();
