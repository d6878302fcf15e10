// The connection to the gateway, with a world whose sockets and clock the tests hold; and the events that come by it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { delay, Feed } from "../build/feed.js";
import { idOf, KEPT, Stream } from "../build/stream.js";

/** Sockets that were opened, timers that wait, and what calls answer. */
function world(status = 200) {
  const made = { sockets: [], timers: [], states: [], status };
  made.connect = (handlers) => {
    const socket = { handlers, said: [], closed: false };
    made.sockets.push(socket);
    return { send: (text) => socket.said.push(JSON.parse(text)), close: () => (socket.closed = true) };
  };
  made.ask = async () => made.status;
  made.later = (milliseconds, act) => {
    const timer = { milliseconds, act };
    made.timers.push(timer);
    return () => made.timers.splice(made.timers.indexOf(timer), 1);
  };
  made.now = () => 0;
  made.random = () => 0.5;
  made.changed = ({ name }) => made.states.push(name);
  return made;
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

test("what is wished for is told when the connection stands, and again after the next", async () => {
  const its = world();
  const feed = new Feed(its);
  const told = [];
  feed.watch({ what: "figures" }, (message) => told.push(message));
  feed.start();
  its.sockets[0].handlers.open();
  assert.deepEqual(its.sockets[0].said, [{ type: "watch", id: 1, what: "figures" }]);
  const stop = feed.watch({ what: "channels" }, () => {});
  assert.equal(its.sockets[0].said[1].id, 2);
  its.sockets[0].handlers.text('{"type":"figures","id":1}');
  its.sockets[0].handlers.text('{"type":"figures","id":99}');
  assert.equal(told.length, 1);
  stop();
  assert.deepEqual(its.sockets[0].said[2], { type: "unwatch", id: 2 });
  its.sockets[0].handlers.ended();
  await turn();
  assert.deepEqual(its.states, ["connecting", "live", "waiting"]);
  its.timers[0].act();
  its.sockets[1].handlers.open();
  assert.deepEqual(its.sockets[1].said, [{ type: "watch", id: 1, what: "figures" }]);
});

test("a refused token ends the attempts, and another one begins them anew", async () => {
  const its = world(401);
  const feed = new Feed(its);
  feed.start();
  its.sockets[0].handlers.ended();
  await turn();
  assert.deepEqual(its.states, ["connecting", "waiting", "refused"]);
  assert.equal(its.timers.length, 0);
  feed.start();
  its.sockets[1].handlers.open();
  assert.equal(feed.state.name, "live");
});

test("a socket that was given up is not listened to", () => {
  const its = world();
  const feed = new Feed(its);
  feed.start();
  feed.start();
  assert.ok(its.sockets[0].closed);
  its.sockets[0].handlers.open();
  assert.equal(feed.state.name, "connecting");
  its.sockets[0].handlers.ended();
  assert.equal(feed.state.name, "connecting");
});

test("a question is answered once, or by the end of the connection", async () => {
  const its = world();
  const feed = new Feed(its);
  assert.equal((await feed.ask({ type: "body" })).type, "error");
  feed.start();
  its.sockets[0].handlers.open();
  const [first, second] = [feed.ask({ type: "body" }), feed.ask({ type: "body" })];
  const [{ id }] = its.sockets[0].said;
  its.sockets[0].handlers.text(JSON.stringify({ type: "body", id, data: "x" }));
  assert.equal((await first).data, "x");
  its.sockets[0].handlers.ended();
  assert.equal((await second).type, "error");
});

test("attempts come further and further apart, up to a bound", () => {
  const delays = Array.from({ length: 12 }, (_, failures) => delay(failures, 1));
  assert.deepEqual(delays.slice(0, 3), [500, 1000, 2000]);
  assert.equal(delays.at(-1), 15_000);
  assert.ok(delay(3, 0) >= delay(3, 1) / 2);
});

const event = (n, more = {}) => ({ v: 1, ts: "2026-01-02T03:04:05.678901Z", type: "frame", conn: "a", n, ...more });

test("events are kept up to a bound, those that were told twice once", () => {
  const stream = new Stream(() => ({}));
  stream.take(Array.from({ length: KEPT + 10 }, (_, n) => event(n)), 3);
  assert.deepEqual([stream.all.length, stream.all.begin, stream.lost], [KEPT, 10, 3]);
  stream.begun();
  stream.take([event(KEPT + 9), event(KEPT + 10), event(20, { conn: "b" })], 1);
  assert.deepEqual([stream.all.end, stream.lost], [KEPT + 12, 4]);
  assert.equal(idOf(stream.all.at(stream.all.end - 1)), "b:20:04:05.678901");
  // Numbers begin anew with a tap; the time does not.
  stream.take([event(KEPT + 9, { ts: "2026-01-02T03:04:06.000000Z" })], 0);
  assert.equal(stream.all.end, KEPT + 13);
});

test("a pause freezes what is shown and counts what comes", () => {
  const stream = new Stream(() => ({}));
  stream.take([event(1, { op: "text" }), event(2, { op: "ping" })], 0);
  stream.pause(true);
  stream.take([event(3, { op: "text" })], 0);
  assert.deepEqual([stream.shown.length, stream.news], [2, 1]);
  stream.narrow("op:text");
  assert.equal(stream.news, 0, "a filter shows what there is");
  stream.pause(false);
  assert.deepEqual([...stream.shown].map(({ n }) => n), [1, 3]);
  stream.narrow("op:tex");
  assert.ok("wrong" in stream.filter);
  assert.equal(stream.shown.length, 2, "a filter that cannot be read changes nothing");
  stream.clear();
  assert.deepEqual([stream.shown.length, stream.all.length], [0, 0]);
});
