// The filter language of docs/inspect.md over the events that the page holds: white space is and, a comma within a key is
// or, a minus in front is not. What cannot be read is told with its column, in characters from 1.

import { jsonOf, textOf } from "./bytes.js";
import type { Event, Payload } from "./messages.js";

/** Whether an event is shown. */
export type Test = (event: Event) => boolean;

export type Filter = { test: Test } | { wrong: string; column: number };

/** What is known of an event's connection beside the event. */
export interface Facts {
  path?: string | null | undefined;
  user?: string | null | undefined;
  channels?: string[] | undefined;
}

class Wrong extends Error {
  readonly at: number;
  constructor(at: number, message: string) {
    super(message);
    this.at = at;
  }
}

const TYPES = ["open", "handshake", "frame", "message", "drop", "note", "stats", "close", "exit"];
const OPS = ["text", "binary", "continuation", "close", "ping", "pong", "reserved", "data", "control"];
const CONTROL = ["close", "ping", "pong"];
const DATA = ["text", "binary", "continuation"];
const KEYS = "dir op type len wire code status msg age fin rsv1 rsv2 rsv3 mask conn path user ch has text re json";

interface Value {
  text: string;
  at: number;
  slashes?: string;
  quoted?: boolean;
}

export function filter(text: string, facts: (event: Event) => Facts = () => ({}), now = Date.now): Filter {
  try {
    const tests: Test[] = [];
    for (let at = skip(text, 0); at < text.length; at = skip(text, at)) {
      const [test, end] = term(text, at, facts, now);
      tests.push(test);
      at = end;
    }
    return { test: (event) => tests.every((test) => test(event)) };
  } catch (error) {
    if (error instanceof Wrong) return { wrong: error.message, column: [...text.slice(0, error.at)].length + 1 };
    throw error;
  }
}

const skip = (text: string, at: number) => at + (/^\s*/.exec(text.slice(at))?.[0].length ?? 0);

function term(text: string, begin: number, facts: (event: Event) => Facts, now: () => number): [Test, number] {
  const negated = text[begin] === "-";
  let at = begin + (negated ? 1 : 0);
  const key = /^([a-z0-9]+):/.exec(text.slice(at))?.[1];
  const keyAt = at;
  if (key) at += key.length + 1;
  const any: Test[] = [];
  for (;;) {
    const [value, end] = key === "json" ? expression(text, at) : take(text, at);
    if (!value.text && !value.quoted) throw new Wrong(value.at, "a value belongs here");
    any.push(question(key, keyAt, value, facts, now));
    at = end;
    if (key && key !== "json" && text[at] === ",") at += 1;
    else break;
  }
  if (at < text.length && !/\s/.test(text[at] ?? "")) throw new Wrong(at, "white space belongs between terms");
  return [(event) => any.some((test) => test(event)) !== negated, at];
}

function take(text: string, at: number): [Value, number] {
  const rest = text.slice(at);
  if (rest[0] === '"') {
    const found = /^"((?:[^"\\]|\\.)*)"/s.exec(rest);
    if (!found) throw new Wrong(at, "a quotation mark is missing at the end");
    return [{ text: (found[1] ?? "").replace(/\\(.)/gs, "$1"), at: at + 1, quoted: true }, at + found[0].length];
  }
  // A path begins with a slash, too; it has no other one at its end.
  const slashed = /^\/((?:[^/\\]|\\.)*)\/(i?)(?=[\s,]|$)/s.exec(rest);
  if (slashed) return [{ text: slashed[1] ?? "", at: at + 1, slashes: slashed[2] ?? "" }, at + slashed[0].length];
  const bare = /^[^\s,]*/.exec(rest)?.[0] ?? "";
  return [{ text: bare, at }, at + bare.length];
}

function expression(text: string, at: number): [Value, number] {
  const found = /^(?:"(?:[^"\\]|\\.)*"|[^\s"])*/s.exec(text.slice(at))?.[0] ?? "";
  return [{ text: found, at }, at + found.length];
}

function question(
  key: string | undefined,
  keyAt: number,
  value: Value,
  facts: (event: Event) => Facts,
  now: () => number,
): Test {
  const raw = value.slashes === undefined ? value.text : `/${value.text}/${value.slashes}`;
  switch (key) {
    case undefined:
      return value.slashes === undefined ? contains(value.text) : expressionIn(value);
    case "text":
      return contains(raw);
    case "re":
      return expressionIn(value);
    case "json":
      return json(value);
    case "dir": {
      const dir = { c2s: "c2s", out: "c2s", up: "c2s", s2c: "s2c", in: "s2c", down: "s2c" }[value.text];
      if (!dir) throw new Wrong(value.at, "in (to the client), out (to the server), s2c or c2s belongs here");
      return (event) => (event.dir ?? event.by) === dir;
    }
    case "type":
      return oneOf(TYPES, value, (event) => event.type === value.text);
    case "op":
      return oneOf(OPS, value, (event) => isOp(event, value.text));
    case "len":
    case "wire":
    case "code":
    case "status":
    case "msg": {
      const range = numbers(value);
      return (event) => range(number(event, key));
    }
    case "age": {
      const range = times(value);
      return (event) => range((now() - Date.parse(event.ts)) * 1000);
    }
    case "fin":
    case "rsv1":
    case "rsv2":
    case "rsv3":
    case "mask": {
      if (!/^[01]$/.test(value.text)) throw new Wrong(value.at, "0 or 1 belongs here");
      return (event) => event.type === "frame" && bit(event, key) === (value.text === "1");
    }
    case "conn":
      return glob(raw, (event) => [event.conn]);
    case "path":
      return glob(raw, (event) => [facts(event).path]);
    case "user":
      return glob(raw, (event) => [facts(event).user]);
    case "ch":
      return glob(raw, (event) => facts(event).channels ?? []);
    case "has":
      return has(value);
    default:
      throw new Wrong(keyAt, `there is no key '${key}'; the keys are ${KEYS}`);
  }
}

function oneOf(known: string[], value: Value, test: Test): Test {
  if (!known.includes(value.text)) throw new Wrong(value.at, `one of ${known.join(", ")} belongs here`);
  return test;
}

function isOp(event: Event, word: string): boolean {
  if (event.op === undefined) return false;
  if (word === "data") return DATA.includes(event.op);
  return word === "control" ? CONTROL.includes(event.op) : event.op === word;
}

function number(event: Event, key: "len" | "wire" | "code" | "status" | "msg"): number | undefined {
  if (key === "code" && event.type === "frame" && event.op === "close") return event.code ?? 1005;
  return event[key];
}

function bit(event: Event, key: string): boolean {
  if (key === "fin") return event.fin === true;
  if (key === "mask") return event.masked === true;
  return event.rsv?.[Number(key[3]) - 1] === 1;
}

/** What is looked into: the payload as an application sees it, or the words. */
export function shown(event: Event): Payload | undefined {
  return event.plain ?? event.payload;
}

function text(event: Event): string | undefined {
  if (event.type === "note") return event.message;
  if (event.type === "close") return event.reason;
  const payload = shown(event);
  if (event.op === "close" && payload) return textOf(payload).slice(2);
  return payload?.enc === "utf8" ? payload.data : undefined;
}

function contains(part: string): Test {
  return (event) => text(event)?.includes(part) ?? false;
}

function expressionIn(value: Value): Test {
  let found: RegExp;
  try {
    found = new RegExp(value.text, value.slashes === "i" ? "iu" : "u");
  } catch {
    throw new Wrong(value.at, "no regular expression");
  }
  return (event) => {
    const where = text(event);
    return where !== undefined && found.test(where);
  };
}

function glob(pattern: string, names: (event: Event) => (string | null | undefined)[]): Test {
  const parts = pattern.split("*").map((part) => part.replace(/[\\^$.|?+()[\]{}]/g, "\\$&"));
  const found = new RegExp(`^${parts.join(".*")}$`, "su");
  return (event) => names(event).some((name) => typeof name === "string" && found.test(name));
}

function has({ text: word, at }: Value): Test {
  const tests: Record<string, Test> = {
    error: (event) =>
      !!event.violations?.length || event.level === "error" || (event.type === "close" && event.clean === false),
    compressed: (event) => event.compressed === true || event.plain !== undefined,
    truncated: (event) => shown(event)?.truncated === true,
    fragment: (event) => event.type === "frame" && event.frag !== undefined && !(event.frag === 0 && event.fin),
    rtt: (event) => event.rtt_us !== undefined,
  };
  const test = Object.hasOwn(tests, word) ? tests[word] : undefined;
  if (!test) throw new Wrong(at, `one of ${Object.keys(tests).join(", ")} belongs here`);
  return test;
}

type Range = (value: number | undefined) => boolean;

function numbers(value: Value): Range {
  const units: Record<string, number> = { "": 1, k: 1024, K: 1024, m: 1048576, M: 1048576 };
  return range(value, /^(\d+)([kKmM]?)$/, units, "a number such as 7, >1k, <=125 or 1000..1015 belongs here");
}

function times(value: Value): Range {
  const units: Record<string, number> = { us: 1, ms: 1e3, s: 1e6, m: 6e7, h: 3.6e9 };
  return range(value, /^(\d+)(us|ms|s|m|h)$/, units, "a time such as <5m or >=250ms belongs here");
}

function range(value: Value, form: RegExp, units: Record<string, number>, example: string): Range {
  const read = (part: string) => {
    const found = form.exec(part);
    if (!found) throw new Wrong(value.at, example);
    return Number(found[1]) * (units[found[2] ?? ""] ?? 1);
  };
  const compared = /^(>=|<=|>|<|=)(.*)$/s.exec(value.text);
  const [least, most] = value.text.split("..");
  if (!compared && most !== undefined) {
    const [from, to] = [read(least ?? ""), read(most)];
    return (asked) => asked !== undefined && from <= asked && asked <= to;
  }
  const bound = read(compared?.[2] ?? value.text);
  const holds: Record<string, (asked: number) => boolean> = {
    ">=": (asked) => asked >= bound,
    "<=": (asked) => asked <= bound,
    ">": (asked) => asked > bound,
    "<": (asked) => asked < bound,
    "=": (asked) => asked === bound,
  };
  const test = holds[compared?.[1] ?? "="];
  return (asked) => asked !== undefined && (test?.(asked) ?? false);
}

const STEP = /^(?:\.([\p{L}\p{N}_-]+)|\[(\d+)\]|\[("(?:[^"\\]|\\.)*")\])/u;

function json({ text: path, at }: Value): Test {
  if (path[0] !== "$") throw new Wrong(at, 'a path begins with $, such as $.type=="trade"');
  const steps: string[] = [];
  let from = 1;
  for (let step = STEP.exec(path.slice(from)); step; step = STEP.exec(path.slice(from))) {
    steps.push(step[1] ?? step[2] ?? (JSON.parse(step[3] ?? '""') as string));
    from += step[0].length;
  }
  const compare = comparison(path.slice(from), at + from);
  return (event) => {
    const where = text(event);
    const document = where === undefined ? undefined : jsonOf(where);
    if (!document) return false;
    let value = document.value;
    for (const step of steps) {
      if (typeof value !== "object" || value === null || !Object.hasOwn(value, step)) return false;
      value = (value as Record<string, unknown>)[step];
    }
    return compare(value);
  };
}

function comparison(rest: string, at: number): (value: unknown) => boolean {
  if (!rest) return () => true;
  const mark = /^(==|!=|>=|<=|>|<)/.exec(rest)?.[0];
  if (!mark) throw new Wrong(at, "one of == != >= <= > < belongs here");
  const document = jsonOf(rest.slice(mark.length));
  if (!document) throw new Wrong(at + mark.length, "a JSON value belongs here: text stands in quotation marks");
  const expected = document.value;
  const same = (value: unknown) => JSON.stringify(value) === JSON.stringify(expected);
  if (mark === "==") return same;
  if (mark === "!=") return (value) => !same(value);
  return (value) => {
    if (typeof value !== typeof expected || (typeof value !== "number" && typeof value !== "string")) return false;
    const bound = expected as typeof value;
    return mark === ">" ? value > bound : mark === "<" ? value < bound : mark === ">=" ? value >= bound : value <= bound;
  };
}
