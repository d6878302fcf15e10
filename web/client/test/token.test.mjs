// Where a token goes, and where the next one comes from when one has expired.

import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { Network, brief, follow, followAt, message, open, settled } from "./peers.mjs";

let network;
beforeEach(() => (network = new Network()));
afterEach(() => {
  delete globalThis.location;
  network.end();
});

/** Gives the tokens t1, t2 and so on, and counts them. */
function provider() {
  const token = async () => `t${(token.asked += 1)}`;
  token.asked = 0;
  return token;
}
const offered = () => network.socket.protocols;

test("to its own origin a request carries the token in a header, to others in the query", async () => {
  globalThis.location = { href: "http://own.example/page", origin: "http://own.example" };
  for (const [origin, search, authorization] of [
    ["http://own.example", "", "Bearer a.b"],
    ["http://own.example.evil.example", "?token=a.b", undefined],
    ["http://own.example:81", "?token=a.b", undefined],
  ]) {
    const { connection } = followAt(origin, { token: "a.b" });
    assert.deepEqual([network.socket.url.search, ...offered()], ["", "tidegate.v1", "bearer.a.b"]);
    network.socket.end();
    const stream = network.request;
    assert.deepEqual([stream.url.search, stream.headers.authorization], [search, authorization]);
    stream.fail();
    await settled();
    const poll = network.request;
    assert.equal(poll.headers.authorization, authorization);
    assert.deepEqual(poll.url.searchParams.get("token"), authorization ? null : "a.b");
    connection.close();
  }
});

test("without a token nothing is sent", async () => {
  globalThis.location = { href: "http://own.example/page", origin: "http://own.example" };
  for (const token of [undefined, "", () => "", async () => undefined]) {
    const { connection } = followAt("http://own.example", { token });
    await settled();
    assert.deepEqual(offered(), ["tidegate.v1"]);
    network.socket.end();
    await settled();
    assert.deepEqual([network.request.url.search, network.request.headers], ["", { accept: "text/event-stream" }]);
    connection.close();
  }
});

test("after a token that has expired comes the next one, and nothing is missed", async () => {
  const token = provider();
  const { news } = follow({ token });
  assert.equal(network.sockets.length, 0, "there is no token yet");
  await settled();
  assert.deepEqual(offered(), ["tidegate.v1", "bearer.t1"]);
  network.socket.say(open("k:0"), message("k:1", 1));
  network.socket.say({ type: "close", code: 4401, reason: "the token has expired" });
  await network.pass(500);
  assert.deepEqual(offered(), ["tidegate.v1", "bearer.t2"]);
  assert.equal(network.socket.url.search, "?after=k%3A1");
  network.socket.say(open("k:1"), message("k:2", 2));
  network.socket.end(4401, "the token has expired");
  await network.pass(1000);
  network.socket.say(open("k:2"));
  assert.deepEqual(brief(news()), ["open", 1, "error", "open", 2, "error", "open"]);
  assert.deepEqual([network.sockets.length, token.asked], [3, 3]);
});

test("a long poll that ends with its token goes on with the next", async () => {
  const token = provider();
  const { connection, news } = follow({ token, patience_ms: 1000 });
  await settled();
  network.socket.end();
  await settled();
  network.request.fail();
  await settled();
  network.poll("k:0", []);
  await settled();
  assert.equal(network.request.url.search, "?token=t3&after=k%3A0&wait=25", "one for each connection, not each poll");
  network.request.answer(401, {}, "the token has expired");
  await settled();
  assert.equal(connection.transport, undefined);
  await network.pass(500);
  assert.equal(network.request.url.search, "?token=t4&after=k%3A0&wait=0");
  network.poll("k:0", []);
  await settled();
  assert.deepEqual(brief(news()), ["open", "error", "open"]);
});

test("a refusal is asked again with another token, whatever a backend answers to the long poll", async () => {
  const { news } = follow({ token: provider() });
  for (const wait of [500, 1000]) {
    await settled();
    network.socket.end();
    await settled();
    network.request.answer(401, {}, "the token is not good");
    await settled();
    network.request.answer(405, {}, "of the backend");
    await settled();
    const error = { code: "connection", message: "the token is not good", retry: true, reconnect_in_ms: wait };
    assert.deepEqual(news(), [{ error }]);
    await network.pass(wait);
  }
  await settled();
  network.socket.end(4403, "not yours");
  assert.deepEqual(news(), [{ close: { code: 4403, reason: "not yours" } }], "who is known and may not is told so");
});

test("while there is no token no transport is tried, and it is asked for again", async () => {
  let give = () => Promise.reject(new Error("logged out"));
  const { news } = follow({ token: () => give() });
  await settled();
  const failed = (message) => [{ error: { code: "connection", message, retry: true, reconnect_in_ms: 500 } }];
  assert.deepEqual(news(), failed("no token: Error: logged out"));
  give = () => {
    throw new Error("of the user");
  };
  await network.pass(500);
  assert.match(news()[0].error.message, /of the user/);
  give = () => new Promise(() => {});
  await network.pass(1000);
  await network.pass(59_999);
  assert.deepEqual(news(), []);
  await network.pass(1);
  assert.equal(news()[0].error.message, "no token: nothing came");
  give = () => "t.2";
  await network.pass(30_000);
  assert.deepEqual([network.sockets.length, network.requests.length], [1, 0]);
  assert.deepEqual(offered(), ["tidegate.v1", "bearer.t.2"]);
});

test("a token that comes too late is not used", async () => {
  let give;
  const { connection } = follow({ token: () => new Promise((resolve) => (give = resolve)) });
  await settled();
  connection.close();
  give("late");
  await settled();
  assert.deepEqual([network.sockets.length, network.requests.length], [0, 0]);
});

test("without a provider a token that has expired is the end", async () => {
  const { news } = follow({ token: "t1" });
  network.socket.say(open("k:0"));
  network.socket.end(4401, "the token has expired");
  assert.deepEqual(brief(news()), ["open", "close"]);
  await network.pass(1e6);
  assert.equal(network.sockets.length, 1);
});
