// One channel over many connections: which transport is tried when, what is resumed, what users hear.

import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { Network, brief, follow, followAt, idle, message, open, settled } from "./peers.mjs";

let network;
beforeEach(() => (network = new Network()));
afterEach(() => network.end());

const OPEN = 'event: tidegate-open\ndata: {"type":"open","position":"k:0","recovered":true}\n\n';
const last = ({ url }) => url.pathname + url.search;

test("a WebSocket tells what is published, and carries what is sent", () => {
  const { connection, news } = follow({ token: "a.b", after: "" }, "/news/a?s=%20x&t#part");
  const { href } = network.socket.url;
  assert.equal(href.replace(/host\d+/, "host"), "ws://host.example/news/a?s=%20x&t");
  assert.deepEqual(network.socket.protocols, ["tidegate.v1", "bearer.a.b"]);
  assert.ok(!connection.send("early"));
  assert.deepEqual([connection.position, connection.transport], [undefined, undefined]);
  network.socket.say(open("k:0"), message("k:1", null), { ...message("k:2"), text: "two" });
  network.socket.say({ ...message("k:3"), binary: "/w==", event: "tick" });
  assert.deepEqual(news(), [
    { open: { position: "k:0", recovered: true, transport: "websocket" } },
    { message: { data: null, position: "k:1", patch: undefined, event: undefined } },
    { message: { data: "two", position: "k:2", patch: undefined, event: undefined } },
    { message: { data: "/w==", position: "k:3", patch: undefined, event: "tick" } },
  ]);
  assert.deepEqual([connection.position, connection.transport], ["k:3", "websocket"]);
  assert.ok(connection.send("text") && connection.send({ n: 1 }) && connection.send(null));
  assert.deepEqual(network.socket.sent, [
    { type: "message", text: "text" },
    { type: "message", data: { n: 1 } },
    { type: "message", data: null },
  ]);
  network.socket.say({ type: "reply", channel: "news/a", text: "answer" });
  network.socket.say({ type: "error", channel: "news/a", code: "upstream", message: "why", retry: true });
  assert.deepEqual(news(), [
    { message: { data: "answer" } },
    { error: { code: "upstream", message: "why", retry: true } },
  ]);
});

test("after a break it resumes where it was, with a pause that grows", async () => {
  const { connection, news } = follow();
  network.socket.say(open("k:0"), message("k:1", 1));
  const waits = [];
  for (let count = 0; count < 9; count += 1) {
    network.socket.end();
    const wait = news().find((event) => event.error).error.reconnect_in_ms;
    assert.equal(connection.transport, undefined);
    await network.pass(wait - 1);
    assert.equal(network.sockets.length, count + 1, "it waits");
    await network.pass(1);
    assert.equal(network.socket.url.search, "?after=k%3A1");
    network.socket.say(open("k:1"));
    waits.push(wait);
  }
  assert.deepEqual(waits, [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
  await network.pass(10_000);
  news();
  network.socket.end(1012);
  assert.equal(news()[0].error.reconnect_in_ms, 20_000, "what lasted begins anew, and all come back after a restart");
});

test("what a proxy cuts again and again is open for most of the time", async () => {
  const { news } = follow();
  for (let count = 0; count < 9; count += 1) {
    network.socket.say(open("k:0"));
    await network.pass(5000);
    network.socket.end();
    assert.equal(news().at(-1).error.reconnect_in_ms, 500);
    await network.pass(500);
  }
  network.socket.say(open("k:0"));
  await network.pass(999);
  network.socket.end();
  assert.equal(news().at(-1).error.reconnect_in_ms, 1000, "what ends at once waits longer");
});

test("each publication is told once, whatever comes again", () => {
  const { news } = follow({ after: "k:3" });
  assert.equal(network.socket.url.search, "?after=k%3A3");
  network.socket.say(open("k:2"), message("k:3", 3), message("k:4", 4), message("k:4", 4), message("k:5", 5));
  assert.deepEqual(news(), [
    { open: { position: "k:3", recovered: true, transport: "websocket" } },
    { message: { data: 4, position: "k:4", patch: undefined, event: undefined } },
    { message: { data: 5, position: "k:5", patch: undefined, event: undefined } },
  ]);
});

test("what cannot be resumed is said", () => {
  const { connection, news } = follow({ after: "k:7" });
  network.socket.say(open("m:2", false), message("m:3", 3));
  assert.equal(news()[0].open.recovered, false);
  assert.equal(connection.position, "m:3");
  network.socket.say(open("m:9", false), message("m:10", 10));
  assert.deepEqual(news()[0], { open: { position: "m:9", recovered: false, transport: "websocket" } });
});

test("a place before its own is a gap where the gateway says so", async () => {
  const { connection, news } = follow({ after: "k:7" });
  network.socket.say(open("k:2", false), message("k:3", 3), message("k:4", 4));
  assert.deepEqual(brief(news()), ["open", 3, 4]);
  network.socket.end();
  await network.pass(30_000);
  assert.equal(network.socket.url.search, "?after=k%3A4");
  network.socket.say(open("k:1", false), message("k:2", 2), open("k:0", false), message("k:1", 1));
  const heard = news();
  assert.deepEqual(brief(heard), ["error", "open", 2, "open", 1]);
  assert.deepEqual([heard[1].open.recovered, heard[3].open.recovered, connection.position], [false, false, "k:1"]);
});

test("an open that says that a source is well again changes nothing", () => {
  const { news, connection } = follow();
  network.socket.say(open("k:0"), message("k:1", 1), open("k:2"), message("k:2", 2), message("k:3", 3));
  assert.deepEqual(brief(news()), ["open", 1, "open", 2, 3]);
  assert.equal(connection.position, "k:3");
});

test("the gateway's hint is followed, and final codes are", async () => {
  const { news } = follow();
  network.socket.say(open("k:0"), { type: "close", code: 1012, reason: "restarting", reconnect_in_ms: 3400 });
  const error = { code: "connection", message: "restarting", retry: true, reconnect_in_ms: 3400 };
  assert.deepEqual(news().at(-1), { error });
  assert.ok(network.socket.closed);
  await network.pass(3399);
  assert.equal(network.sockets.length, 1);
  await network.pass(1);
  network.socket.say(open("k:0"));
  network.socket.end(4401, "expired");
  assert.deepEqual(news().at(-1), { close: { code: 4401, reason: "expired" } });
  await network.pass(1e7);
  assert.deepEqual([network.sockets.length, network.requests.length, news()], [2, 0, []]);
});

test("a refusal that comes before anything stands is final if it is the gateway's own", async () => {
  const { news } = follow();
  network.socket.end(4403, "not yours");
  assert.deepEqual(news(), [{ close: { code: 4403, reason: "not yours" } }]);
  await network.pass(1e6);
  assert.deepEqual([network.sockets.length, network.requests.length], [1, 0]);
});

test("a position in the URL is where it begins, and only that", async () => {
  follow({}, "/news/a?after=k:3&s=1&afters=2");
  assert.equal(network.socket.url.search, "?after=k%3A3&s=1&afters=2");
  network.socket.say(open("k:3"), message("k:4", 4));
  network.socket.end();
  await network.pass(30_000);
  assert.equal(network.socket.url.search, "?after=k%3A4&s=1&afters=2");
});

test("what the URL asks of updates does not count", () => {
  follow({}, "/news/a?updates=json-patch&s=1");
  assert.equal(network.socket.url.search, "?s=1");
  follow({ updates: "merge-patch" }, "/news/a?s=1&updates");
  assert.equal(network.socket.url.search, "?updates=merge-patch&s=1");
});

test("a position that cannot be had is not asked for again", async () => {
  const { news } = follow({ after: "k:7" });
  network.socket.say({ type: "close", code: 4409, reason: "position unrecoverable" });
  await settled();
  const stream = network.stream();
  assert.equal(network.request.url.search, "", "the next transport begins anew");
  stream.write('event: tidegate-open\nid: k:9\ndata: {"type":"open","position":"k:9","recovered":true}\n\n');
  await settled();
  assert.deepEqual(news().at(-1), { open: { position: "k:9", recovered: false, transport: "sse" } });
});

test("closing it is the end", async () => {
  const { connection, news } = follow();
  network.socket.say(open("k:0"));
  connection.close();
  connection.close();
  network.socket.say(message("k:1", 1));
  network.socket.end(1000);
  assert.deepEqual(brief(news()), ["open", "close"]);
  assert.ok(network.socket.closed && !connection.send("late"));
  const second = follow();
  second.connection.close();
  await network.pass(1e7);
  assert.deepEqual(second.news(), [{ close: { code: 1000, reason: "" } }]);
  assert.equal(network.sockets.length, 2);
});

test("a user's mistake in a handler is reported and stops nothing", () => {
  const later = mock.method(globalThis, "queueMicrotask", () => {});
  const onopen = () => {
    throw new Error("of the user");
  };
  const { news } = follow({ onopen });
  network.socket.say(open("k:0"), message("k:1", 1));
  assert.deepEqual(brief(news()), [1]);
  assert.throws(later.mock.calls[0].arguments[0], /of the user/);
});

test("where a WebSocket is refused, the event stream is next, and where that hangs, the long poll", async () => {
  const { connection, news } = follow({ patience_ms: 1000 });
  network.socket.end();
  assert.deepEqual([last(network.request), network.request.accept], ["/news/a", "text/event-stream"]);
  await network.pass(999);
  assert.equal(network.requests.length, 1);
  await network.pass(1);
  assert.ok(network.requests[0].signal.aborted);
  assert.deepEqual([last(network.request), network.request.accept], ["/news/a?wait=0", "application/json"]);
  network.poll("k:2", [{ position: "k:2", data: { n: 2 } }]);
  await settled();
  assert.deepEqual(news(), [
    { open: { position: "k:1", recovered: true, transport: "longpoll" } },
    { message: { data: { n: 2 }, position: "k:2", patch: undefined, event: undefined } },
  ]);
  assert.equal(last(network.request), "/news/a?after=k%3A2&wait=25");
  assert.equal(connection.send("x"), false);
  network.request.answer(204, { "tidegate-position": "k:2" }, null);
  await settled();
  assert.equal(last(network.request), "/news/a?after=k%3A2&wait=25");
  network.poll("m:5", [{ position: "m:5", text: "five" }], false);
  await settled();
  assert.deepEqual(news()[0], { open: { position: "m:4", recovered: false, transport: "longpoll" } });
  assert.deepEqual([connection.position, last(network.request)], ["m:5", "/news/a?after=m%3A5&wait=25"]);
});

test("what worked is tried first for the life of the page, and better ones now and then", async () => {
  const first = follow();
  network.socket.end();
  const stream = network.stream();
  stream.write(OPEN);
  await settled();
  assert.equal(first.connection.transport, "sse");
  const second = followAt(first.origin, {}, "/news/b");
  assert.deepEqual([network.sockets.length, last(network.request)], [1, "/news/b"]);
  second.connection.close();
  await idle(network, stream, 300_000);
  assert.equal(network.sockets.length, 2, "the first tries something better");
  assert.equal(first.connection.transport, "sse", "and keeps what it has meanwhile");
  network.socket.end();
  await idle(network, stream, 300_000);
  assert.deepEqual([network.sockets.length, network.requests.length], [3, 2]);
  assert.equal(network.socket.url.search, "?after=k%3A0");
  network.socket.say(open("k:0"));
  assert.equal(first.connection.transport, "websocket");
  assert.ok(network.requests[0].signal.aborted, "and gives up the worse one");
  await network.pass(1e6);
  assert.equal(network.sockets.length, 3);
});

test("all that is better than a long poll is tried beside it, and is left when the long poll breaks", async () => {
  const { connection, news } = follow({ patience_ms: 1000 });
  network.socket.end();
  await network.pass(1000);
  network.poll("k:0", []);
  await settled();
  for (let answers = 0; answers < 12; answers += 1) {
    await network.pass(25_000);
    network.request.answer(204, { "tidegate-position": "k:0" }, null);
    await settled();
  }
  const waiting = network.requests.findLast((request) => last(request).includes("wait=25"));
  assert.equal(network.sockets.length, 2);
  network.socket.end();
  const beside = network.request;
  assert.deepEqual([last(beside), beside.accept], ["/news/a?after=k%3A0", "text/event-stream"]);
  waiting.fail();
  await settled();
  assert.ok(beside.signal.aborted);
  assert.deepEqual(brief(news()), ["open", "error"]);
  await network.pass(30_000);
  network.poll("k:0", []);
  await settled();
  await network.pass(1);
  assert.equal(connection.transport, "longpoll");
});

test("what has worked and does not any more is forgotten", async () => {
  follow();
  network.socket.end();
  const stream = network.stream();
  stream.write(OPEN);
  await settled();
  stream.close();
  await settled();
  for (let failures = 0; failures < 2; failures += 1) {
    await network.pass(1000);
    network.request.fail();
    await settled();
  }
  network.request.fail();
  await settled();
  assert.equal(network.sockets.length, 1);
  await network.pass(30_000);
  assert.equal(network.sockets.length, 2);
});

test("nothing is missing and nothing comes twice when a better transport takes over", async () => {
  const { news } = follow();
  network.socket.end();
  const stream = network.stream();
  stream.write('event: tidegate-open\ndata: {"type":"open","position":"k:0","recovered":true}\n\nid: k:1\ndata: 1\n\n');
  await settled();
  await idle(network, stream, 300_000);
  stream.write("id: k:2\ndata: 2\n\nid: k:3\ndata: 3\n\n");
  await settled();
  // The gateway has forgotten what came meanwhile, which does not matter.
  network.socket.say(open("k:2", false), message("k:3", 3), message("k:4", 4));
  assert.deepEqual(brief(news()), ["open", 1, 2, 3, "open", 4]);
});

test("a WebSocket that has worked is given two chances before something worse", async () => {
  const { connection } = follow();
  network.socket.say(open("k:0"));
  await network.pass(60_000);
  network.socket.end();
  for (const sockets of [2, 3]) {
    await network.pass(30_000);
    assert.deepEqual([network.sockets.length, network.requests.length], [sockets, 0]);
    network.socket.end();
  }
  assert.equal(network.requests.length, 1);
  network.request.fail();
  await settled();
  network.request.fail();
  await settled();
  assert.equal(network.requests.length, 2);
  await network.pass(30_000);
  assert.equal(network.sockets.length, 4, "and when nothing works it is the best again");
  connection.close();
});

test("a status that all agree on is the end, a proxy's own is not", async () => {
  const refused = follow();
  network.socket.end();
  network.request.answer(401, {}, "log in\n");
  await settled();
  network.request.answer(401, {}, "log in\n");
  await settled();
  assert.deepEqual(refused.news(), [{ close: { code: 401, reason: "log in" } }]);

  const blocked = follow();
  network.socket.end();
  network.request.answer(403, {}, "no streams here");
  await settled();
  network.poll("k:0", []);
  await settled();
  assert.deepEqual(brief(blocked.news()), ["open"]);
  blocked.connection.close();

  const elsewhere = follow();
  network.socket.end();
  network.request.answer(404, {}, "no route");
  await settled();
  network.request.answer(200, {}, "a page of the backend, which has no long polls");
  await settled();
  assert.deepEqual(elsewhere.news(), [{ close: { code: 404, reason: "no route" } }]);

  const behind = follow();
  network.socket.end();
  network.request.answer(401, {}, "this needs a token");
  await settled();
  network.request.answer(405, {}, "of the backend");
  await settled();
  assert.deepEqual(behind.news(), [{ close: { code: 401, reason: "this needs a token" } }]);
});

test("where nothing was ever heard, the page's origin may be why", async () => {
  globalThis.location = new URL("https://app.example/page");
  const { news } = follow();
  network.socket.end();
  network.request.fail();
  await settled();
  network.request.fail();
  await settled();
  delete globalThis.location;
  const [{ error }] = news();
  assert.equal(error.message, "no gateway answers, or its [access] origins lack https://app.example");
  assert.equal(error.retry, true);
  await network.pass(500);
  network.socket.say(open("k:0"));
  network.socket.end();
  assert.equal(news().at(-1).error.message, "the connection was lost");
});

test("a gateway that is not there, or says later, is tried again", async () => {
  const { news } = follow();
  network.socket.end();
  network.request.answer(503, { "retry-after": "7" }, "restarting");
  await settled();
  network.request.answer(503, { "retry-after": "7" }, "restarting");
  await settled();
  assert.deepEqual(news()[0].error, { code: "connection", message: "restarting", retry: true, reconnect_in_ms: 7500 });
  await network.pass(7500);
  assert.equal(network.sockets.length, 2);
  network.socket.end();
  network.request.answer(200, { "content-type": "text/html" }, "<p>Welcome to our wireless network");
  await settled();
  network.request.answer(200, { "content-type": "text/html" }, "<p>Welcome to our wireless network");
  await settled();
  assert.equal(news()[0].error.retry, true);
});

test("a page that may not open WebSockets at all gets the next transport", async () => {
  globalThis.WebSocket = class {
    constructor() {
      throw new Error("SecurityError");
    }
  };
  const { connection } = follow();
  network.stream().write(OPEN);
  await settled();
  assert.equal(connection.transport, "sse");
});

test("being online again ends a pause", async () => {
  const handlers = new Set();
  globalThis.addEventListener = (name, handler) => name === "online" && handlers.add(handler);
  globalThis.removeEventListener = (name, handler) => handlers.delete(handler);
  const { connection } = follow();
  delete globalThis.addEventListener;
  network.socket.say(open("k:0"));
  handlers.forEach((handler) => handler());
  assert.equal(network.sockets.length, 1, "what stands is left alone");
  network.socket.end();
  handlers.forEach((handler) => handler());
  assert.equal(network.sockets.length, 2);
  connection.close();
  delete globalThis.removeEventListener;
  assert.equal(handlers.size, 0);
});
