// The filter language over events, and what is said about filters that cannot be read.

import assert from "node:assert/strict";
import { test } from "node:test";
import { filter } from "../build/filter.js";

const utf8 = (data) => ({ enc: "utf8", data });
const EVENTS = {
  trade: { type: "frame", dir: "s2c", op: "text", fin: true, rsv: [1, 0, 0], masked: false, len: 2000, wire: 2004, msg: 3, plain: utf8('{"type":"trade","price":10.5,"tags":["a b"]}'), payload: { enc: "base64", data: "" } },
  order: { type: "frame", dir: "c2s", op: "text", fin: true, rsv: [0, 0, 0], masked: true, len: 7, wire: 13, payload: utf8("buy now") },
  ping: { type: "frame", dir: "s2c", op: "ping", fin: true, rsv: [0, 0, 0], masked: false, len: 0, wire: 2, payload: utf8("") },
  pong: { type: "frame", dir: "c2s", op: "pong", fin: true, rsv: [0, 0, 0], masked: true, len: 0, wire: 6, rtt_us: 400, payload: utf8("") },
  bad: { type: "frame", dir: "c2s", op: "close", code: 1002, fin: true, rsv: [0, 0, 0], masked: true, len: 5, wire: 11, payload: utf8("\u0003\u00eaerr7"), violations: [{ text: "x", section: "y" }] },
  part: { type: "frame", dir: "c2s", op: "binary", fin: false, frag: 0, rsv: [0, 0, 0], masked: true, len: 5, wire: 11, payload: { enc: "base64", data: "AAAA", truncated: true } },
  note: { type: "note", level: "error", message: "the backend failed", status: 502 },
  close: { type: "close", code: 1006, clean: false, by: "c2s", reason: "" },
};
const facts = () => ({ path: "/quotes/BTC", user: "ann", channels: ["quotes/BTC", "chat/7"] });

function found(text) {
  const made = filter(text, facts, () => Date.parse("2026-01-01T00:00:10Z"));
  assert.ok("test" in made, `${text}: ${made.wrong}`);
  const match = ([, event]) => made.test({ v: 1, ts: "2026-01-01T00:00:05Z", conn: "0-1a.3", ...event });
  return Object.entries(EVENTS).filter(match).map(([name]) => name).join(" ");
}

test("each key asks its question", () => {
  const all = Object.keys(EVENTS).join(" ");
  const expected = {
    "": all,
    "  ": all,
    "dir:in": "trade ping",
    "dir:out op:text": "order",
    "op:control": "ping pong bad",
    "-op:ping,pong type:frame": "trade order bad part",
    "op:data": "trade order part",
    "len:>1k": "trade",
    "len:5..7": "order bad part",
    "wire:<=6": "ping pong",
    "code:1002,1006": "bad close",
    "status:502": "note",
    "msg:3": "trade",
    "fin:0": "part",
    "rsv1:1": "trade",
    "mask:0": "trade ping",
    "conn:0-1* op:ping": "ping",
    "conn:1-*": "",
    "path:/quotes* op:ping": "ping",
    "user:bob": "",
    "ch:chat/* op:ping": "ping",
    "has:error": "bad note close",
    "has:compressed": "trade",
    "has:truncated": "part",
    "has:fragment": "part",
    "has:rtt": "pong",
    "buy": "order",
    'text:"buy now"': "order",
    '"backend failed"': "note",
    "re:/ERR\\d/i": "bad",
    "/trade|buy/": "trade order",
    'json:$.type=="trade"': "trade",
    "json:$.price>=10": "trade",
    "json:$.price>11": "",
    'json:$.tags[0]=="a b"': "trade",
    "json:$.absent": "",
    'json:$["price"]!=1': "trade",
    "age:<5s": "",
    "age:>=5s op:ping": "ping",
  };
  for (const [text, names] of Object.entries(expected)) assert.equal(found(text), names, text);
});

test("what is wrong is told with its column", () => {
  const expected = [
    ["op:tex", 4, /one of text, binary/],
    ["nokey:1", 1, /no key 'nokey'; the keys are dir op/],
    ["dir:in len:x", 12, /a number such as/],
    ["age:5", 5, /a time such as/],
    ["fin:2", 5, /0 or 1/],
    ["has:constructor", 5, /one of error/],
    ['text:"a', 6, /quotation mark is missing/],
    ["re:/(/", 5, /no regular expression/],
    ["op:", 4, /a value belongs here/],
    ["op:text,", 9, /a value belongs here/],
    ["json:x", 6, /begins with \$/],
    ["json:$.a=1", 9, /one of == /],
    ["json:$.a==b", 11, /a JSON value/],
    ['"é" x:1', 5, /no key/],
    ['"a"b', 4, /white space belongs/],
  ];
  for (const [text, column, wrong] of expected) {
    const made = filter(text);
    assert.ok("wrong" in made, text);
    assert.equal(made.column, column, `${text}: ${made.wrong}`);
    assert.match(made.wrong, wrong, text);
  }
});

test("any text is a filter or says why not", () => {
  const letters = [...'ab:,-"/\\$.[]=<>019 \u00e9\n', "op:", "json:$", "re:", "len:"];
  let seed = 7;
  const next = (most) => (seed = (seed * 48271) % 2147483647) % most;
  for (let round = 0; round < 5000; round += 1) {
    const text = Array.from({ length: next(9) }, () => letters[next(letters.length)]).join("");
    const made = filter(text);
    if ("test" in made) Object.values(EVENTS).forEach((event) => made.test(event));
    else assert.ok(made.column >= 1 && made.column <= [...text].length + 1, `${JSON.stringify(text)}: ${made.column}`);
  }
});
