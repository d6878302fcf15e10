// Patches against two libraries of others, on random documents, and the rules of the RFCs by name.

import assert from "node:assert/strict";
import { test } from "node:test";
import jsonPatch from "fast-json-patch";
import mergePatch from "json-merge-patch";
import { applyJsonPatch, applyMergePatch } from "../build/patch.js";
import { NAMES, changed, document, frozen, pick, randomFrom, seed } from "./random_json.mjs";

const ROUNDS = 5000;
const copy = (value) => structuredClone(value);

/** Runs `check` on many random sources. */
function everyRound(check) {
  for (let round = 0; round < ROUNDS; round += 1) {
    try {
      check(randomFrom(seed + round));
    } catch (error) {
      error.message = `TIDEGATE_SEED=${seed + round}: ${error.message}`;
      throw error;
    }
  }
}

test("a patch made by a foreign library leads to the document that it was made for", () => {
  everyRound((random) => {
    const before = frozen(document(random));
    const after = changed(random, before);
    assert.deepEqual(applyJsonPatch(before, jsonPatch.compare({ "": before }, { "": after }).map(unwrapped)), after);
  });
});

/** fast-json-patch compares objects and arrays only, so that every document stands in an object there. */
function unwrapped(operation) {
  return { ...operation, path: operation.path.slice(1) };
}

test("random operations do what they do in a foreign library, or fail as they do there", () => {
  let applied = 0;
  everyRound((random) => {
    const before = frozen(document(random));
    const step = frozen(operation(random, before));
    // fast-json-patch takes what is not there for something, which the RFC does not.
    const shown = JSON.stringify({ before, step });
    if (!reaches(before, step)) return assert.throws(() => applyJsonPatch(before, [step]), shown);
    const theirs = outcome(() => jsonPatch.applyPatch(copy(before), [copy(step)], true).newDocument);
    const ours = outcome(() => applyJsonPatch(before, [step]));
    applied += "value" in ours ? 1 : 0;
    assert.deepEqual(ours, theirs, shown);
  });
  assert.ok(applied > ROUNDS / 4, `only ${applied} could be applied`);
});

/** Whether all is there that an operation needs, but for the last part of a path where something is added. */
function reaches(value, { op, path, from }) {
  if (from !== undefined && !exists(value, names(from))) return false;
  if (["remove", "replace", "test"].includes(op)) return exists(value, names(path));
  return exists(value, [...names(path).slice(0, -1), ...(path ? [null] : [])]);
}

const names = (path) => path.split("/").slice(1).map((name) => name.replace(/~1/g, "/").replace(/~0/g, "~"));

/** A name of null stands for any: what it is in has to be able to hold something. */
function exists(value, [name, ...rest]) {
  if (name === undefined) return true;
  if (typeof value !== "object" || value === null) return false;
  if (Array.isArray(value) && name === "length") return false;
  return name === null || (Object.hasOwn(value, name) && exists(value[name], rest));
}

function outcome(act) {
  try {
    return { value: act() };
  } catch {
    return { refused: true };
  }
}

function operation(random, value) {
  const [path, from] = [pointer(random, value), pointer(random, value)];
  switch (pick(random, ["add", "remove", "replace", "move", "copy", "test"])) {
    case "add":
      return { op: "add", path, value: document(random, 1) };
    case "remove":
      // What is left when all is removed is no document; libraries differ.
      return path ? { op: "remove", path } : { op: "test", path, value };
    case "replace":
      return { op: "replace", path, value: document(random, 1) };
    case "move":
      // Beside it the rest of a list moves up, and the path may lead elsewhere; fast-json-patch moves into itself.
      return { op: from && !path.startsWith(from.slice(0, from.lastIndexOf("/") + 1)) ? "move" : "copy", from, path };
    case "copy":
      return { op: "copy", from, path };
    default:
      return { op: "test", path, value: random() < 0.5 ? read(value, names(path)) : document(random, 1) };
  }
}

const read = (value, [name, ...rest]) => (name === undefined ? (value ?? null) : read(value?.[name], rest));

/** Mostly a place that is there, sometimes one beside it. */
function pointer(random, value, path = "") {
  if (typeof value !== "object" || value === null || random() < 0.2) return path;
  const beside = Array.isArray(value) ? [value.length, "-"] : [pick(random, NAMES)];
  const name = String(pick(random, [...Object.keys(value), ...beside]));
  const inner = Object.hasOwn(value, name) ? value[name] : undefined;
  return pointer(random, inner, `${path}/${name.replace(/~/g, "~0").replace(/\//g, "~1")}`);
}

test("a merge patch made by a foreign library leads to the document that it was made for", () => {
  everyRound((random) => {
    const before = frozen(document(random));
    const patch = document(random);
    assert.deepEqual(applyMergePatch(before, frozen(patch)), mergePatch.apply(copy(before), copy(patch)));
    const after = changed(random, before);
    const made = mergePatch.generate(copy(before), copy(after));
    const theirs = made === undefined ? before : mergePatch.apply(copy(before), copy(made));
    assert.deepEqual(made === undefined ? before : applyMergePatch(before, made), theirs);
  });
});

test("operations that do not fit are refused", () => {
  const value = frozen({ a: [1, 2], b: { c: null }, l: [[1], [2]] });
  for (const operation of [
    { op: "remove", path: "/x" },
    { op: "replace", path: "/x", value: 1 },
    { op: "replace", path: "/a/2", value: 1 },
    { op: "replace", path: "/a/-", value: 1 },
    { op: "remove", path: "/a/-" },
    { op: "add", path: "/a/3", value: 1 },
    { op: "add", path: "/a/01", value: 1 },
    { op: "add", path: "/a/1e0", value: 1 },
    { op: "add", path: "/a/length", value: 1 },
    { op: "add", path: "/b/c/d", value: 1 },
    { op: "add", path: "a", value: 1 },
    { op: "remove", path: "/b/toString" },
    { op: "copy", from: "/b/constructor", path: "/x" },
    { op: "move", from: "/b", path: "/b/c" },
    { op: "move", from: "/l/0", path: "/l/0/0" },
    { op: "test", path: "/a", value: [2, 1] },
    { op: "test", path: "/a", value: { 0: 1, 1: 2 } },
    { op: "test", path: "/b", value: { c: null, d: null } },
    { op: "test", path: "/b/c", value: false },
    { op: "swap", path: "/a" },
  ]) {
    assert.throws(() => applyJsonPatch(value, [operation]), JSON.stringify(operation));
  }
});

test("the document itself can be replaced, and a name can be empty", () => {
  assert.equal(applyJsonPatch({ a: 1 }, [{ op: "replace", path: "", value: 2 }]), 2);
  const emptied = [{ op: "add", path: "", value: { "": 0 } }, { op: "replace", path: "/", value: 1 }];
  assert.deepEqual(applyJsonPatch([1], emptied), { "": 1 });
  assert.deepEqual(applyJsonPatch({ a: { b: 1 } }, [{ op: "move", from: "/a/b", path: "" }]), 1);
});

test("no name reaches beyond the document", () => {
  const patch = JSON.parse('{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}');
  const merged = applyMergePatch({}, patch);
  assert.equal(JSON.stringify(merged), JSON.stringify(patch));
  const added = applyJsonPatch({}, [{ op: "add", path: "/__proto__", value: { polluted: true } }]);
  assert.equal(JSON.stringify(added), '{"__proto__":{"polluted":true}}');
  assert.equal(JSON.stringify(applyMergePatch(added, JSON.parse('{"__proto__":null}'))), "{}");
  assert.throws(() => applyJsonPatch({}, [{ op: "add", path: "/__proto__/polluted", value: true }]));
  assert.equal({}.polluted, undefined);
});

test("what a patch does not touch is shared with the document before", () => {
  const before = { a: { x: 1 }, b: [{ y: 1 }, { y: 2 }] };
  const after = applyJsonPatch(before, [{ op: "replace", path: "/b/1/y", value: 3 }]);
  assert.equal(after.a, before.a);
  assert.equal(after.b[0], before.b[0]);
  assert.deepEqual(before.b[1], { y: 2 });
  assert.equal(applyMergePatch(before, { c: 1 }).b, before.b);
});
