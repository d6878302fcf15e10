// The parts of the page that hold no page: places, rings, bits, units, filters, recordings.

import assert from "node:assert/strict";
import { test } from "node:test";
import { fields, letters } from "../build/bits.js";
import { bytesOf, hexRow, jsonOf, textOf } from "../build/bytes.js";
import { isFault, maySend, nameOf } from "../build/codes.js";
import { inert, pieces } from "../build/inert.js";
import { format, parse, takeToken } from "../build/place.js";
import { chosen } from "../build/presets.js";
import { Meter, slopes } from "../build/rates.js";
import { har, jsonLines } from "../build/record.js";
import { Ring } from "../build/ring.js";
import { bytes, count, rate, short, span } from "../build/units.js";

test("a token is taken out of the address, and nothing else", () => {
  assert.deepEqual(takeToken("#token=ab%2Fc"), { token: "ab/c", rest: "" });
  assert.deepEqual(takeToken("#token=ab&/figures?x=1"), { token: "ab", rest: "#/figures?x=1" });
  assert.deepEqual(takeToken("#/connections?token=x"), { token: undefined, rest: "#/connections?token=x" });
  assert.deepEqual(takeToken("#token="), { token: undefined, rest: "" });
});

test("a place is what it was when it is read again", () => {
  const places = [
    { path: ["connections"], chosen: {} },
    { path: ["channel", "quotes/BTC?x=1#&%"], chosen: {} },
    { path: ["connection", "0-1a.3", "frames"], chosen: { filter: 'path:/a* "b c" -op:ping', at: "0-1a.3:7" } },
  ];
  for (const place of places) assert.deepEqual(parse(format(place)), place);
  assert.deepEqual(parse(""), { path: ["connections"], chosen: {} });
  assert.deepEqual(parse("#/%E0%A4%A").path, ["%E0%A4%A"], "what cannot be decoded stays as it is");
  assert.equal(format({ path: ["live"], chosen: { filter: "" } }), "#/live");
});

test("a ring keeps the newest, at places that stay", () => {
  const ring = new Ring(3);
  for (let number = 0; number < 5; number += 1) ring.push(number);
  assert.deepEqual([...ring], [2, 3, 4]);
  assert.deepEqual([ring.begin, ring.end, ring.length], [2, 5, 3]);
  assert.deepEqual([ring.at(1), ring.at(2), ring.at(4), ring.at(5)], [undefined, 2, 4, undefined]);
  const copy = ring.copy();
  ring.push(5);
  assert.deepEqual([...copy], [2, 3, 4]);
  assert.equal(copy.at(4), 4);
  ring.clear();
  assert.deepEqual([...ring, ring.begin, ring.end], [0, 0]);
});

test("what peers sent is visible and turns nothing", () => {
  assert.deepEqual(pieces("a\u202eb"), [
    { text: "a", escape: false },
    { text: "\\u{202e}", escape: true },
    { text: "b", escape: false },
  ]);
  assert.equal(inert("\u001b[31m\r\n\t\0"), "\\u{1b}[31m\\r\\n\\t\\0");
  assert.equal(inert("\u2066x\u2069\u200f\ufeff\u200b\u{e0041}"), "\\u{2066}x\\u{2069}\\u{200f}\\u{feff}\\u{200b}\\u{e0041}");
  assert.equal(inert("\ud800x"), "\\u{d800}x", "half a pair");
  assert.equal(inert("ünïcode 水🍉 <b>&amp;"), "ünïcode 水🍉 <b>&amp;");
  assert.deepEqual(pieces("a\nb\u0007", "\n").map(({ text }) => text), ["a\nb", "\\u{7}"]);
  assert.deepEqual(pieces(""), []);
});

test("the header of a client's short frame", () => {
  const found = fields("818537fa213d");
  assert.deepEqual(found.map(({ name, value }) => [name, value]), [
    ["FIN", "1"],
    ["RSV1", "0"],
    ["RSV2", "0"],
    ["RSV3", "0"],
    ["opcode", "0x1"],
    ["MASK", "1"],
    ["length", "5"],
    ["masking key", "37 fa 21 3d"],
  ]);
  assert.equal(found.at(-1).to, 48);
  assert.equal(letters({ fin: true, rsv: [1, 0, 0], masked: true }), "F1··M");
});

test("lengths of two and of eight bytes, and headers that were cut off", () => {
  assert.equal(fields("027e0100").at(-1).meaning, "256 bytes of payload");
  assert.equal(fields("827f0000000100000000").at(-1).value, "4294967296");
  assert.deepEqual(fields("827f0000").map(({ name }) => name).slice(-1), ["length"]);
  assert.equal(fields("81").length, 5);
  assert.deepEqual(fields(""), []);
  assert.match(fields("8300")[4].meaning, /reserved/);
  for (const hex of ["818537fa213d", "827f0000000100000000", "02fe010001020304"]) {
    const found = fields(hex);
    found.slice(1).forEach(({ from }, at) => assert.equal(from, found[at].to, "no bit is left out"));
    assert.equal(found.at(-1).to, hex.length * 4);
  }
});

test("payloads as bytes, text and hex", () => {
  const payload = { enc: "base64", data: btoa("\xff\xfeA") };
  assert.deepEqual([...bytesOf(payload)], [255, 254, 65]);
  assert.equal(textOf(payload), "\ufffd\ufffdA");
  assert.deepEqual([...bytesOf({ enc: "base64", data: "?" })], []);
  const row = hexRow(Uint8Array.from({ length: 20 }, (_, at) => at + 60), 1);
  assert.deepEqual(row, { offset: "000010", hex: "4c 4d 4e 4f  ", text: "LMNO" });
  assert.deepEqual(jsonOf(' {"a":1}'), { value: { a: 1 } });
  assert.deepEqual(jsonOf("null"), { value: null });
  for (const text of ["", "hello", "{", "<b>"]) assert.equal(jsonOf(text), undefined);
});

test("numbers for people", () => {
  assert.deepEqual([0, 1023, 1024, 15_000, 5e6].map(bytes), ["0 B", "1023 B", "1.00 KiB", "14.6 KiB", "4.77 MiB"]);
  assert.equal(count(1234567), "1\u2009234\u2009567");
  assert.deepEqual([7, 950.4, 12_345, 4.56e6].map(short), ["7", "950", "12.3k", "4.56M"]);
  assert.deepEqual([null, 0, 0.01, 2.25].map(rate), ["–", "0", "<0.1", "2.3"]);
  const spans = [null, -1, 0, 0.25, 4.25, 450, 9_500, 61_000, 3_600_000, 90_061_000].map(span);
  assert.deepEqual(spans, ["–", "0 s", "0 s", "250 µs", "4.3 ms", "450 ms", "9.5 s", "1 min 1 s", "1 h", "1 d 1 h"]);
});

test("rates come out of totals that grow, and begin anew with them", () => {
  assert.deepEqual(slopes([0, 1, 3, 4], [0, 10, 30, 5]), [null, 10, 10, null]);
  const meter = new Meter();
  const look = (sent, at) => meter.look([{ id: "a", sent_messages: sent, received_messages: 0 }], at);
  look(0, 0);
  assert.deepEqual(meter.of("a"), { sent: 0, received: 0 });
  look(50, 500);
  assert.equal(meter.of("a").sent, 100);
  for (let step = 2; step < 30; step += 1) look(50, step * 500);
  assert.ok(meter.of("a").sent < 0.1, "it falls when nothing comes");
  meter.look([], 20_000);
  assert.deepEqual(meter.of("a"), { sent: 0, received: 0 });
});

test("close codes have names, and only some may be sent", () => {
  assert.equal(nameOf(1006), "abnormal closure");
  assert.equal(nameOf(4999), "private to the application");
  assert.deepEqual([999, 1000, 1004, 1005, 1006, 1014, 1015, 2999, 3000, 4999, 5000, NaN].filter(maySend), [1000, 1014, 3000, 4999]);
  assert.deepEqual([1000, 1001, 1005, 1006, 1011, 4401].filter(isFault), [1006, 1011, 4401]);
});

test("presets choose among open and ended connections", () => {
  const rows = [{ id: "a", queue_bytes: 0 }, { id: "b", queue_bytes: 5 }, { id: "c", queue_bytes: 9 }];
  const closed = [
    { id: "d", close: { code: 1000, at: 1 } },
    { id: "e", close: { code: 1006, at: 2 } },
    { id: "f", close: { code: 1011, at: 3 } },
  ];
  const ids = (preset) => chosen(preset, rows, closed).map(({ id }) => id).join("");
  assert.deepEqual(["open", "slow", "erroring", "closed"].map(ids), ["abc", "cb", "fe", "fed"]);
});

test("recordings are lines of JSON, and HAR with the messages as Chrome writes them", () => {
  assert.equal(jsonLines([{ a: 1 }, { b: "\n" }]), '{"a":1}\n{"b":"\\n"}\n');
  const frame = (more) => ({ v: 1, ts: "2026-01-02T03:04:05.500000Z", type: "frame", fin: true, dir: "c2s", ...more });
  const events = [
    frame({ opcode: 1, op: "text", payload: { enc: "base64", data: "xx" }, plain: { enc: "utf8", data: "hi" } }),
    frame({ opcode: 2, op: "binary", dir: "s2c", payload: { enc: "base64", data: "AAE=" } }),
    frame({ opcode: 9, op: "ping", payload: { enc: "utf8", data: "" } }),
    frame({ opcode: 1, op: "text", fin: false, payload: { enc: "utf8", data: "part" } }),
    { v: 1, ts: "2026-01-02T03:04:06Z", type: "note", message: "x" },
  ];
  const row = { path: "/x", tls: "1.3", opened_ms: 0 };
  const handshake = { at: 0, request: { line: "GET /x?a=1 HTTP/1.1", headers: [["Host", "h:1"]] }, response: { line: "HTTP/1.1 101 S", headers: [] } };
  const [entry] = JSON.parse(har(row, handshake, events)).log.entries;
  assert.equal(entry.request.url, "wss://h:1/x?a=1");
  assert.equal(entry.response.status, 101);
  const time = Date.parse("2026-01-02T03:04:05.500Z") / 1000;
  assert.deepEqual(entry._webSocketMessages, [
    { type: "send", time, opcode: 1, data: "hi" },
    { type: "receive", time, opcode: 2, data: "AAE=" },
  ]);
});
