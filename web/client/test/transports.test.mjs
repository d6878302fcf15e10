// What each transport makes of what comes, and changes of documents over all of them.

import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { applyJsonPatch } from "../build/patch.js";
import { Network, brief, follow, idle, message, open, patch, settled } from "./peers.mjs";
import { randomFrom, seed } from "./random_json.mjs";

let network;
beforeEach(() => (network = new Network()));
afterEach(() => network.end());

const OPEN = 'event: tidegate-open\nid: k:0\ndata: {"type":"open","channel":"a","position":"k:0","recovered":true}\n\n';

async function streaming(options) {
  const followed = follow(options);
  network.socket.end();
  const stream = network.stream();
  stream.write(OPEN);
  await settled();
  return { ...followed, stream };
}

test("an event stream is read however its bytes are cut", async () => {
  const text =
    `${OPEN}:\n\nid: k:1\ndata: {"n":\ndata: 1}\n\nevent: tick\nid: k:2\ndata: é\u2028 ☃\ndata:\n\n` +
    "id: k:3\r\ndata: 3\r\n\r\nevent: tidegate-error\n" +
    'data: {"type":"error","code":"upstream","message":"why","retry":true}\n\nid: k:4\ndata: "4"\n\n';
  const bytes = new TextEncoder().encode(text);
  const random = randomFrom(seed);
  for (const most of [1, 2, 3, 7, 50, 1000]) {
    const { connection, news } = follow();
    network.socket.end();
    const stream = network.stream();
    for (let at = 0; at < bytes.length; ) {
      const end = at + 1 + Math.floor(random() * most);
      stream.bytes(bytes.slice(at, end));
      at = end;
    }
    for (let turn = 0; turn < 100; turn += 1) await settled();
    const heard = news();
    assert.deepEqual(brief(heard), ["open", { n: 1 }, "é\u2028 ☃\n", 3, "error", "4"], `TIDEGATE_SEED=${seed}`);
    assert.equal(heard[2].message.event, "tick");
    assert.equal(connection.position, "k:4");
    connection.close();
  }
});

test("an event stream that ends comes back as it says, and resumes", async () => {
  const { stream, news } = await streaming();
  stream.write("id: k:1\ndata: 1\n\n");
  const close = { type: "close", code: 1012, reason: "restarting", reconnect_in_ms: 700 };
  stream.write(`retry: 700\nevent: tidegate-close\ndata: ${JSON.stringify(close)}\n\n`);
  await settled();
  assert.equal(news().at(-1).error.reconnect_in_ms, 700);
  await network.pass(700);
  assert.equal(network.request.url.search, "?after=k%3A1");
  const next = network.stream();
  next.write(OPEN.replaceAll("k:0", "k:1"));
  next.write("retry: 900\n\n");
  await settled();
  next.close();
  await settled();
  assert.equal(news().at(-1).error.reconnect_in_ms, 900, "a stream may say it at any time");
});

test("an event stream that falls silent is given up", async () => {
  const { stream, news } = await streaming();
  await idle(network, stream, 200_000);
  stream.write(":\n\n");
  await settled();
  await network.pass(74_999);
  assert.deepEqual(brief(news()), ["open"]);
  await network.pass(1);
  assert.deepEqual(brief(news()), ["error"]);
});

test("an event stream that the gateway closes for good is the end", async () => {
  const { stream, news } = await streaming();
  stream.write('event: tidegate-close\ndata: {"type":"close","code":4403,"reason":"not yours"}\n\n');
  await settled();
  assert.deepEqual(news().at(-1), { close: { code: 4403, reason: "not yours" } });
});

async function polling(options) {
  const followed = follow({ patience_ms: 1, ...options });
  network.socket.end();
  await network.pass(1);
  return followed;
}

test("long polls go on from each answer, and shorten what is too long for the gateway", async () => {
  const { news } = await polling();
  network.poll("k:4", []);
  await settled();
  for (const wait of [25, 12, 6]) {
    assert.equal(network.request.url.search, `?after=k%3A4&wait=${wait}`);
    network.request.answer(400, {}, "'wait' is a whole number of seconds from 0 to 5");
    await settled();
  }
  assert.equal(network.request.url.search, "?after=k%3A4&wait=3");
  network.poll("k:6", [{ position: "k:5", data: 5 }, { position: "k:6", binary: "/w==" }]);
  await settled();
  assert.equal(network.request.url.search, "?after=k%3A6&wait=3", "and remember it");
  assert.deepEqual(brief(news()), ["open", 5, "/w=="]);
});

test("long polls tell once that the server behind them fails, and that it is well again", async () => {
  const { news } = await polling();
  const error = { code: "upstream", message: "why", retry: true };
  for (const trouble of [undefined, error, error]) {
    network.poll("k:0", [], true, trouble);
    await settled();
  }
  assert.deepEqual(news().slice(1), [{ error }]);
  network.request.answer(204, { "tidegate-position": "k:0" }, null);
  await settled();
  network.poll("k:1", [{ position: "k:1", data: 1 }]);
  await settled();
  assert.deepEqual(brief(news()), ["open", 1]);
});

test("a long poll that fails is tried again, one that is refused is the end, one that hangs is given up", async () => {
  const { news } = await polling();
  network.poll("k:4", []);
  await settled();
  network.request.answer(503, { "retry-after": "2" }, "ask again");
  await settled();
  const error = { code: "connection", message: "ask again", retry: true, reconnect_in_ms: 2500 };
  assert.deepEqual(news().at(-1), { error });
  await network.pass(2500);
  assert.equal(network.request.url.search, "?after=k%3A4&wait=0");
  network.request.answer(204, { "tidegate-position": "k:4" }, null);
  await settled();
  assert.deepEqual(news().at(-1), { open: { position: "k:4", recovered: true, transport: "longpoll" } });
  await network.pass(55_000);
  assert.equal(news().at(-1).error.code, "connection");
  await network.pass(30_000);
  network.poll("k:4", []);
  await settled();
  network.request.answer(401, {}, "expired");
  await settled();
  assert.deepEqual(news().at(-1), { close: { code: 401, reason: "expired" } });
});

const first = Object.freeze({ list: Object.freeze([1, 2]), name: "x" });
const changes = [{ op: "add", path: "/list/-", value: 3 }];

test("changes come as whole documents", () => {
  const { news } = follow({ updates: "json-patch" });
  assert.equal(network.socket.url.search, "?updates=json-patch");
  network.socket.say(open("k:0"), message("k:1", first), patch("k:2", changes), message("k:3", 7));
  network.socket.say(patch("k:4", [{ op: "replace", path: "", value: 8 }]));
  const heard = news();
  assert.deepEqual(brief(heard), ["open", first, { list: [1, 2, 3], name: "x" }, 7, 8]);
  const { position, patch: told } = heard[2].message;
  assert.deepEqual([position, told], ["k:2", changes]);
});

test("merge patches, on each transport", async () => {
  const { stream, news, connection } = await streaming({ updates: "merge-patch" });
  stream.write('id: k:1\ndata: {"a":1,"b":2}\n\nevent: tidegate-patch\nid: k:2\ndata: {"a":null,"c":3}\n\n');
  await settled();
  assert.deepEqual(brief(news()), ["open", { a: 1, b: 2 }, { b: 2, c: 3 }]);
  connection.close();
  const polled = await polling({ updates: "merge-patch" });
  network.poll("k:2", [{ position: "k:1", data: { a: 1 } }, { position: "k:2", format: "merge", patch: { b: 2 } }]);
  await settled();
  assert.deepEqual(brief(polled.news()), ["open", { a: 1 }, { a: 1, b: 2 }]);
});

test("whoever has the document resumes with changes, whoever has not begins with the newest", async () => {
  const { news } = follow({ updates: "json-patch" });
  network.socket.say(open("k:5"));
  network.socket.end();
  await network.pass(30_000);
  assert.equal(network.socket.url.search, "?updates=json-patch&after=k%3A5", "what follows may be whole");
  network.socket.say(open("k:5"), message("k:6", first));
  network.socket.end();
  await network.pass(30_000);
  assert.equal(network.socket.url.search, "?updates=json-patch&after=k%3A6");
  network.socket.say(open("k:6"), patch("k:7", changes));
  assert.deepEqual(brief(news()), ["open", "error", "open", first, "error", "open", { list: [1, 2, 3], name: "x" }]);

  follow({ updates: "json-patch", after: "k:6" });
  assert.equal(network.socket.url.search, "?updates=json-patch");
  const kept = follow({ updates: "json-patch", after: "k:6", document: first });
  assert.equal(network.socket.url.search, "?updates=json-patch&after=k%3A6");
  network.socket.say(open("k:6"), patch("k:7", changes));
  assert.deepEqual(brief(kept.news()), ["open", { list: [1, 2, 3], name: "x" }]);
});

test("what is published between an open and the next connection is not lost", async () => {
  const { news } = follow({ updates: "json-patch" });
  network.socket.say(open("k:0"));
  network.socket.end();
  await network.pass(30_000);
  assert.equal(network.socket.url.search, "?updates=json-patch&after=k%3A0");
  network.socket.say(open("k:0"), message("k:1", first), patch("k:2", changes));
  const heard = news();
  assert.deepEqual(brief(heard), ["open", "error", "open", first, { list: [1, 2, 3], name: "x" }]);
  assert.equal(heard[2].open.recovered, true);

  // Where the document has gone, the change has nothing that it fits to.
  const other = follow({ updates: "json-patch" });
  network.socket.say(open("k:5"));
  network.socket.end();
  await network.pass(30_000);
  network.socket.say(open("k:5"), patch("k:6", changes));
  await network.pass(30_000);
  assert.equal(network.socket.url.search, "?updates=json-patch");
  network.socket.say(open("k:6"), message("k:7", first));
  assert.deepEqual(brief(other.news()), ["open", "error", "open", "error", "open", first]);
});

test("a patch that does not fit is not guessed at: the whole document is asked for", async () => {
  const unfounded = follow({ updates: "json-patch" });
  network.socket.say(open("k:0"), patch("k:1", [{ op: "replace", path: "", value: 1 }]));
  assert.deepEqual(brief(unfounded.news()), ["open", "error"], "nothing is known to which it belongs");
  unfounded.connection.close();
  const misfit = patch("k:2", [{ op: "remove", path: "/gone" }]);
  for (const wrong of [misfit, patch("k:3", changes), patch("m:2", changes), patch("k:2", null)]) {
    const { connection, news } = follow({ updates: "json-patch" });
    network.socket.say(open("k:0"), message("k:1", first), wrong);
    assert.ok(network.socket.closed);
    assert.deepEqual([brief(news()), connection.position], [["open", first, "error"], "k:1"]);
    await network.pass(500);
    assert.equal(network.socket.url.search, "?updates=json-patch");
    network.socket.say(open("k:3"), message("k:4", 4));
    assert.deepEqual(news()[0].open, { position: "k:3", recovered: false, transport: "websocket" });
    connection.close();
  }
});

test("a document that is lost in a gap comes whole", async () => {
  const { news } = follow({ updates: "json-patch" });
  network.socket.say(open("k:0"), message("k:1", first), open("k:8", false));
  network.socket.end();
  await network.pass(30_000);
  assert.equal(network.socket.url.search, "?updates=json-patch&after=k%3A8");
  network.socket.say(open("k:8"), message("k:9", 9));
  assert.deepEqual(brief(news()), ["open", first, "open", "error", "open", 9]);
});

test("whatever is cut, the record is contiguous or a gap is declared", async () => {
  // A gateway with a history of five, a client, and a network that breaks after each message with a chance.
  const random = randomFrom(seed);
  const { news } = follow({ updates: "json-patch" });
  const documents = [{ n: 0 }];
  let known = 0;
  for (let round = 0; round < 300; round += 1) {
    const count = Math.floor(random() * 8);
    for (let more = 0; more < count; more += 1) documents.push({ n: documents.length });
    const newest = documents.length - 1;
    const after = network.socket.url.searchParams.get("after");
    const place = after === null ? newest - 1 : Number(after.split(":")[1]);
    const kept = place >= newest - 5;
    const start = kept ? place : newest - 1;
    network.socket.say(open(`k:${Math.max(start, 0)}`, kept));
    for (let at = Math.max(start, 0) + 1; at <= newest && random() < 0.9; at += 1) {
      const whole = after === null || !kept || random() < 0.2;
      const change = [{ op: "test", path: "/n", value: at - 1 }, { op: "replace", path: "/n", value: at }];
      const text = whole ? message(`k:${at}`, documents[at]) : patch(`k:${at}`, change);
      network.socket.say(text);
      assert.deepEqual(applyJsonPatch(documents[at - 1], change), documents[at]);
    }
    network.socket.end(random() < 0.5 ? 1012 : 1006);
    for (const event of news()) {
      if (event.open && !event.open.recovered) known = Number(event.open.position.split(":")[1]);
      if (!event.message) continue;
      const at = Number(event.message.position.split(":")[1]);
      assert.equal(event.message.data.n, at, `TIDEGATE_SEED=${seed}`);
      assert.ok(known === 0 || at === known + 1, `TIDEGATE_SEED=${seed}: ${at} after ${known}`);
      known = at;
    }
    await network.pass(30_000);
  }
});
