// One channel, followed over as many connections as it takes: which transport is tried when, and when to come back.
// What is kept of the channel is in `channel`, the time to wait in `backoff`.
//
// At most two attempts are alive: the one that stands, and one that is being opened because there is none, or because
// it would be better. A better one takes over only when it stands, so that nothing is missed in between.

import type { Close, Connection, Options, Transport } from "./api.js";
import { address } from "./address.js";
import { BROKEN, delay, isFinal, type End } from "./backoff.js";
import { Channel, content } from "./channel.js";
import { eventStream } from "./event_stream.js";
import { longPoll } from "./long_poll.js";
import { tell } from "./tell.js";
import type { Envelope, Link, Task } from "./transport.js";
import { websocket } from "./websocket.js";

/** The best first. */
const TRANSPORTS: [Transport, (task: Task) => Link][] = [
  ["websocket", websocket],
  ["sse", eventStream],
  ["longpoll", longPoll],
];
const LAST = TRANSPORTS.length - 1;

const PATIENCE_MS = 8000;
/** The last transport gets as long, whatever the user's patience: there is nothing else to try. */
const LAST_PATIENCE_MS = 60_000;
/** How often a transport that has worked may fail in a row before worse ones are tried. */
const LOYALTY = 2;
/** What lasted as long makes up for one failure. */
const LASTED_MS = 1000;
/** How long a worse transport is used before better ones are tried again. */
const BETTER_AFTER_MS = 300_000;

/** By host, for the life of the page: the transport that worked last. */
const worked = new Map<string, number>();

type Timer = ReturnType<typeof setTimeout>;

/** A transport at work. */
interface Attempt {
  index: number;
  /** Where it was asked to resume. */
  after?: string | undefined;
  patience?: Timer;
  link?: Link;
}

export class Following implements Connection {
  #options: Options;
  #url: URL;
  #channel: Channel;
  /** What stands. */
  #current: Attempt | undefined;
  /** What is being opened. */
  #pending: Attempt | undefined;
  /** Until the next attempt: to come back, or to do better. */
  #timer: Timer | undefined;
  #openedAt = 0;
  /** Pauses, less the seconds that connections lasted. */
  #failures = 0;
  /** What the attempts since the last pause ended with: the first refusal, else the last that says anything. */
  #verdict: End | undefined;
  #ended = false;

  constructor(url: string | URL, options: Options) {
    this.#options = options;
    this.#url = new URL(url, globalThis.location?.href);
    this.#channel = new Channel(options, options.after || this.#url.searchParams.get("after") || undefined);
    globalThis.addEventListener?.("online", this.#comeBack);
    this.#comeBack();
  }

  get position(): string | undefined {
    return this.#channel.position;
  }

  get transport(): Transport | undefined {
    return this.#current && TRANSPORTS[this.#current.index]![0];
  }

  send(data: unknown): boolean {
    const sent = typeof data === "string" ? { text: data } : { data };
    return this.#current?.link?.send?.({ type: "message", ...sent }) ?? false;
  }

  close(): void {
    this.#finish({ code: 1000, reason: "" });
  }

  /** Opens what worked last, unless something stands or is being opened. */
  #comeBack = (): void => {
    if (!this.#current && !this.#pending) this.#begin(worked.get(this.#url.host) ?? 0);
  };

  #begin(index: number): void {
    clearTimeout(this.#timer);
    const attempt: Attempt = { index };
    this.#pending = attempt;
    const { token } = this.#options;
    if (typeof token !== "function") return this.#open(attempt, token);
    const fail = (why: unknown) => {
      // No other transport has one.
      attempt.index = LAST;
      this.#end(attempt, { code: BROKEN, reason: `no token: ${why}` });
    };
    attempt.patience = setTimeout(fail, LAST_PATIENCE_MS, "nothing came");
    Promise.resolve().then(token).then((given) => this.#open(attempt, given), fail);
  }

  #open(attempt: Attempt, token: string | undefined): void {
    if (attempt !== this.#pending) return;
    clearTimeout(attempt.patience);
    const { index } = attempt;
    const { updates, patience_ms = PATIENCE_MS } = this.#options;
    const patience = index < LAST ? patience_ms : LAST_PATIENCE_MS;
    attempt.patience = setTimeout(() => this.#end(attempt, { code: 0, reason: "" }), patience);
    const after = (attempt.after = this.#channel.after());
    const task: Task = {
      after,
      token,
      address: (own) => address(this.#url, { updates, ...own }),
      deliver: (envelope) => this.#deliver(attempt, envelope),
      end: (end) => this.#end(attempt, end),
    };
    try {
      attempt.link = TRANSPORTS[index]![1](task);
    } catch {
      // The page's own policy may forbid it.
      task.end({ code: 0, reason: "" });
    }
  }

  #deliver(attempt: Attempt, envelope: Envelope): void {
    const { type, code = "", message = "", retry = false, reason = "", reconnect_in_ms } = envelope;
    const { present, join, leave, count } = envelope;
    if (attempt !== this.#current && attempt !== this.#pending) return;
    if (type === "close") {
      this.#end(attempt, { code: Number(code), reason, hint: reconnect_in_ms });
    } else if (type === "error") {
      tell(this.#options.onerror, { code: String(code), message, retry });
    } else if (type === "open") {
      const after = attempt === this.#current ? this.position : attempt.after;
      this.#stand(attempt);
      this.#channel.open(envelope, after, this.transport as Transport);
    } else if (type === "reply") {
      tell(this.#options.onmessage, { data: content(envelope) });
    } else if ((type === "message" || type === "patch") && !this.#channel.publish(envelope)) {
      this.#channel.forget();
      this.#end(attempt, { code: BROKEN, reason: "a patch does not fit" });
    }
    // In `open` and in `presence`; what was told before may have ended it.
    if (count !== undefined && attempt === this.#current) tell(this.#options.onpresence, { present, join, leave, count });
  }

  /** It takes the place of what stood until now. */
  #stand(attempt: Attempt): void {
    if (attempt === this.#current) return;
    this.#drop(this.#current);
    clearTimeout(attempt.patience);
    this.#pending = this.#verdict = undefined;
    this.#current = attempt;
    this.#openedAt = Date.now();
    worked.set(this.#url.host, attempt.index);
    this.#doBetterLater();
  }

  #doBetterLater(): void {
    if (this.#current!.index) this.#timer = setTimeout(() => this.#begin(0), BETTER_AFTER_MS);
  }

  /** An attempt is over, by itself or because nobody waits for it any longer. */
  #end(attempt: Attempt, end: End): void {
    const stood = attempt === this.#current;
    if (!stood && attempt !== this.#pending) return;
    this.#drop(attempt);
    if (end.code === 4409) this.#channel.forget();
    // A transport that is refused by a status may be forbidden by a proxy only: the next ones tell.
    if (this.#isFinal(end) && (stood || end.code > 4000)) return this.#finish(end);
    if (stood) {
      this.#drop(this.#pending);
      this.#pending = this.#current = undefined;
      this.#failures = Math.max(0, Math.min(6, this.#failures) - (((Date.now() - this.#openedAt) / LASTED_MS) | 0));
      return this.#pause(end);
    }
    this.#pending = undefined;
    // Where there are no long polls, the server behind answers that GET: what was refused before counts.
    if (end.code && !isFinal(this.#verdict?.code ?? 0)) this.#verdict = end;
    this.#next(attempt.index);
  }

  /** The transport of this index could not be opened. */
  #next(index: number): void {
    const { host } = this.#url;
    const end = this.#verdict ?? { code: BROKEN, reason: "" };
    if (this.#current) {
      if (index + 1 < this.#current.index) this.#begin(index + 1);
      else this.#doBetterLater();
    } else if (worked.get(host) === index && this.#failures < LOYALTY) {
      this.#pause(end);
    } else if (index < LAST) {
      this.#begin(index + 1);
    } else if (this.#isFinal(end)) {
      this.#finish(end);
    } else {
      worked.delete(host);
      this.#pause(end);
    }
  }

  #isFinal({ code }: End): boolean {
    return isFinal(code, typeof this.#options.token === "function");
  }

  #pause(end: End): void {
    const wait = delay(this.#failures++, end, Math.random());
    this.#verdict = undefined;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.#comeBack, wait);
    // A page that is not allowed hears no status from another origin.
    const unheard = `no gateway answers, or its [access] origins lack ${globalThis.location?.origin}`;
    const message = end.reason || (this.#openedAt ? "the connection was lost" : unheard);
    tell(this.#options.onerror, { code: "connection", message, retry: true, reconnect_in_ms: wait });
  }

  #drop(attempt: Attempt | undefined): void {
    clearTimeout(attempt?.patience);
    attempt?.link?.stop();
  }

  #finish({ code, reason }: Close): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#timer);
    globalThis.removeEventListener?.("online", this.#comeBack);
    this.#drop(this.#pending);
    this.#drop(this.#current);
    this.#pending = this.#current = undefined;
    tell(this.#options.onclose, { code, reason });
  }
}
