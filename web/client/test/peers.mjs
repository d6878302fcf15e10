// The network of a test: WebSockets and requests that the module opens are kept here, and the test answers them as a
// gateway or a proxy would. The clock is the test's, too.

import { mock } from "node:test";
import { connect } from "../build/tidegate.js";

let hosts = 0;

/** What the module opened, in order. */
export class Network {
  constructor() {
    this.sockets = [];
    this.requests = [];
    const network = this;
    globalThis.WebSocket = class {
      constructor(url, protocols) {
        Object.assign(this, { url: new URL(url), protocols, readyState: 0, sent: [], closed: false });
        network.sockets.push(this);
      }
      close() {
        Object.assign(this, { closed: true, readyState: 3 });
      }
      send(text) {
        this.sent.push(JSON.parse(text));
      }
      /** The gateway says this. */
      say(...envelopes) {
        this.readyState = 1;
        for (const envelope of envelopes) this.onmessage({ data: JSON.stringify(envelope) });
      }
      /** It ends. */
      end(code = 1006, reason = "") {
        this.readyState = 3;
        this.onclose({ code, reason });
      }
    };
    globalThis.fetch = (url, { signal, headers }) => {
      const request = { url: new URL(url), accept: headers.accept, headers, signal };
      network.requests.push(request);
      return new Promise((resolve, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason));
        request.fail = () => reject(new TypeError("network"));
        request.answer = (status, fields, body) => resolve(new Response(body, { status, headers: fields }));
      });
    };
    mock.timers.enable({ apis: ["setTimeout", "Date"], now: 1e12 });
    // The longest wait, unless a test wants another.
    this.random = mock.method(Math, "random", () => 1);
  }

  end() {
    mock.timers.reset();
    mock.restoreAll();
  }

  /** The last socket. */
  get socket() {
    return this.sockets.at(-1);
  }

  /** The last request. */
  get request() {
    return this.requests.at(-1);
  }

  /** Answers the last request with an event stream; gives what writes to it. */
  stream() {
    const { signal, answer } = this.request;
    let controller;
    const body = new ReadableStream({ start: (given) => (controller = given) });
    signal.addEventListener("abort", () => controller.error(signal.reason));
    answer(200, { "content-type": "text/event-stream" }, body);
    const encoder = new TextEncoder();
    return {
      write: (text) => controller.enqueue(encoder.encode(text)),
      bytes: (bytes) => controller.enqueue(bytes),
      close: () => controller.close(),
    };
  }

  /** Answers the last request as a long poll. */
  poll(position, publications, recovered = true, error = undefined) {
    const body = JSON.stringify({ position, recovered, publications, error });
    this.request.answer(200, { "tidegate-position": position, "content-type": "application/json" }, body);
  }

  /** Time passes, and what hangs on it happens. */
  async pass(ms) {
    mock.timers.tick(ms);
    await settled();
  }
}

/** Time passes on an event stream on which nothing happens. */
export async function idle(network, stream, ms) {
  for (let passed = 0; passed < ms; passed += 25_000) {
    stream.write(":\n\n");
    await settled();
    await network.pass(25_000);
  }
}

/** All that promises have to do is done. */
export async function settled() {
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

/** A connection to a host of its own, and all that its user heard. */
export function follow(options = {}, path = "/news/a") {
  hosts += 1;
  return followAt(`http://host${hosts}.example`, options, path);
}

export function followAt(origin, options = {}, path = "/news/a") {
  const heard = [];
  const hears = (name) => (event) => heard.push({ [name]: event });
  const names = ["open", "message", "presence", "error", "close"];
  const handlers = Object.fromEntries(names.map((name) => [`on${name}`, hears(name)]));
  const connection = connect(origin + path, { ...handlers, ...options });
  /** What was heard since the last call. */
  const news = () => heard.splice(0);
  return { connection, origin, news };
}

export const open = (position, recovered = true) => ({ type: "open", channel: "news/a", position, recovered });
export const message = (position, data) => ({ type: "message", channel: "news/a", position, data });
export const patch = (position, changes) => ({ type: "patch", channel: "news/a", position, patch: changes });
/** Messages as their data, everything else as its name. */
export const brief = (news) => news.map((event) => ("message" in event ? event.message.data : Object.keys(event)[0]));
