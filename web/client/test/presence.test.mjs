// Who is here: what users hear of it, by each transport that tells.

import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { Network, brief, follow, message, open, settled } from "./peers.mjs";

let network;
beforeEach(() => (network = new Network()));
afterEach(() => network.end());

const ada = { id: "0-1", user: "ada", info: { name: "Ada" } };
const other = { id: "1-2" };
const here = (present, count) => ({ present, join: undefined, leave: undefined, count });

test("who is here is told at the beginning, and each that comes and goes", () => {
  const { news } = follow();
  network.socket.say({ ...open("k:0"), present: [ada], count: 1 });
  network.socket.say({ type: "presence", channel: "news/a", join: other, count: 2 });
  network.socket.say(message("k:1", 1));
  network.socket.say({ type: "presence", channel: "news/a", leave: ada, count: 0 });
  assert.deepEqual(news().slice(1), [
    { presence: here([ada], 1) },
    { presence: { present: undefined, join: other, leave: undefined, count: 2 } },
    { message: { data: 1, position: "k:1", patch: undefined, event: undefined } },
    { presence: { present: undefined, join: undefined, leave: ada, count: 0 } },
  ]);
});

test("after a break it is told anew, and where nobody is told nothing is", async () => {
  const { news } = follow();
  network.socket.say({ ...open("k:0"), present: [ada, other], count: 240 });
  network.socket.end();
  await network.pass(30_000);
  network.socket.say({ ...open("k:0"), present: [other], count: 1 });
  assert.deepEqual(brief(news()), ["open", "presence", "error", "open", "presence"]);
  network.socket.say(open("k:0"));
  assert.deepEqual(brief(news()), ["open"]);
});

test("an event stream tells the same", async () => {
  const { news } = follow();
  network.socket.end();
  const stream = network.stream();
  const event = (name, data) => stream.write(`event: tidegate-${name}\ndata: ${JSON.stringify(data)}\n\n`);
  event("open", { ...open("k:0"), present: [ada], count: 1 });
  event("presence", { type: "presence", channel: "news/a", join: other, count: 2 });
  await settled();
  const [, first, second] = news();
  assert.deepEqual([first.presence.present, second.presence.join], [[ada], other]);
});

test("nothing is told after the end", () => {
  const { connection, news } = follow({ onopen: () => connection.close() });
  network.socket.say({ ...open("k:0"), present: [ada], count: 1 });
  network.socket.say({ type: "presence", channel: "news/a", join: other, count: 2 });
  assert.deepEqual(brief(news()), ["close"]);
});
