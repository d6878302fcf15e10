// Random JSON from a seed, so that what fails can be had again: TIDEGATE_SEED=…; the seed is part of every complaint.

export const seed = Number(process.env.TIDEGATE_SEED ?? Math.floor(Math.random() * 2 ** 31));

/** Numbers from 0 to 1 (mulberry32). */
export function randomFrom(start) {
  let state = start >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export const pick = (random, list) => list[Math.floor(random() * list.length)];

// Among them what a pointer has to escape, what looks like an index, and what objects have by themselves.
export const NAMES = ["a", "b", "", "a/b", "m~n", "~1", "0", "1", "-", "toLocaleString", "é\u2028"];
const LEAVES = [null, true, false, 0, 1, -1.5, 1e21, "", "text", "\u0000", "null"];

export function document(random, depth = 3) {
  const kind = depth ? random() : 0;
  if (kind < 0.35) return pick(random, LEAVES);
  const count = Math.floor(random() * 5);
  if (kind < 0.65) return Array.from({ length: count }, () => document(random, depth - 1));
  return Object.fromEntries(Array.from({ length: count }, () => [pick(random, NAMES), document(random, depth - 1)]));
}

/** A document that is near another, as the next state of a thing is. */
export function changed(random, value, depth = 3) {
  if (random() < 0.15 || typeof value !== "object" || value === null) return document(random, depth);
  if (Array.isArray(value)) {
    const list = value.map((item) => (random() < 0.3 ? changed(random, item, depth - 1) : item));
    if (random() < 0.4) list.splice(Math.floor(random() * (list.length + 1)), 0, document(random, 1));
    if (random() < 0.4) list.splice(Math.floor(random() * list.length), 1);
    return list;
  }
  const kept = Object.entries(value).filter(() => random() < 0.8);
  const entries = kept.map(([name, item]) => [name, random() < 0.3 ? changed(random, item, depth - 1) : item]);
  return Object.fromEntries(random() < 0.4 ? [...entries, [pick(random, NAMES), document(random, 1)]] : entries);
}

/** Nothing in it can be changed any more: an attempt throws. */
export function frozen(value) {
  if (typeof value === "object" && value !== null) Object.values(Object.freeze(value)).forEach(frozen);
  return value;
}
