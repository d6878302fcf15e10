// Whether and when to come back.

import assert from "node:assert/strict";
import { test } from "node:test";
import { delay, isFinal } from "../build/backoff.js";
import { before, distance } from "../build/position.js";

const lost = { code: 1006, reason: "" };

test("the bound doubles up to the most", () => {
  assert.deepEqual([0, 1, 2, 3, 5, 6, 40, 5000].map((failures) => delay(failures, lost, 1)), [
    500, 1000, 2000, 4000, 16_000, 30_000, 30_000, 30_000,
  ]);
  assert.equal(delay(9, lost, 0), 0);
});

test("what the gateway asks for counts within reason", () => {
  assert.equal(delay(5, { ...lost, code: 1012, hint: 3400 }, 0.7), 3400);
  assert.equal(delay(0, { ...lost, code: 503, hint: 7000 }, 1), 7500);
  assert.equal(delay(0, { ...lost, hint: 86_400_000 }, 0.5), 900_000);
  assert.equal(delay(0, { ...lost, code: 1012 }, 0.5), 10_000);
});

test("no wait is longer than the bounds", () => {
  for (let failures = 0; failures < 2000; failures += 1) {
    for (const code of [503, 1006, 1012, 4000]) {
      for (const hint of [undefined, 0, 2 ** 53]) {
        const wait = delay(failures, { ...lost, code, hint }, Math.random());
        assert.ok(wait >= 0 && wait <= 930_000, `${wait}`);
      }
    }
  }
});

test("codes and statuses that are final", () => {
  const statuses = [400, 401, 403, 404, 405, 426];
  for (const code of [...statuses, 1000, 1002, 1003, 1007, 1009, 1010, 4400, 4401, 4403, 4404, 4499]) {
    assert.ok(isFinal(code), `${code}`);
  }
  const passing = [0, 408, 429, 500, 502, 503, 504];
  for (const code of [...passing, 1001, 1005, 1006, 1008, 1011, 1012, 1013, 3000, 4000, 4408, 4409, 4429, 4999]) {
    assert.ok(!isFinal(code), `${code}`);
  }
});

test("positions of one epoch lie behind each other, of two epochs nowhere", () => {
  assert.equal(distance("k:41", "k:43"), 2);
  assert.equal(distance("k:41", "k:41"), 0);
  assert.equal(distance("k:41", "k:0"), -41);
  assert.ok(Number.isNaN(distance("k:41", "m:42")));
  assert.equal(before("k3f9:42"), "k3f9:41");
});
