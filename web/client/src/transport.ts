// What every transport has in common: it turns what comes into envelopes of `tidegate.v1`, tells why it ended, and
// leaves positions, documents and coming back to the connection above it.

import type { Member } from "./api.js";
import type { Own } from "./address.js";
import { BROKEN, type End } from "./backoff.js";

/** An envelope as far as it is read here. */
export interface Envelope {
  type: string;
  position?: string;
  recovered?: boolean;
  present?: Member[];
  join?: Member;
  leave?: Member;
  count?: number;
  data?: unknown;
  text?: string;
  binary?: string;
  patch?: unknown;
  event?: string;
  code?: number | string;
  message?: string;
  retry?: boolean;
  reason?: string;
  reconnect_in_ms?: number;
}

/** What a transport is given. After `stop` it may still tell something, and nobody hears it. */
export interface Task {
  /** Where the channel is resumed from at first. */
  after: string | undefined;
  token: string | undefined;
  /** The URL for http with these parameters. */
  address: (own: Own) => string;
  deliver: (envelope: Envelope) => void;
  end: (end: End) => void;
}

/** What a transport gives. */
export interface Link {
  stop(): void;
  /** Whether it was sent. */
  send?(message: object): boolean;
}

/** A conversation over HTTP. */
export interface Exchange {
  signal: AbortSignal;
  /** Breaks it off after this time, unless it is called again before. */
  within: (ms: number) => void;
}

/** A conversation that lasts until it is stopped; what `converse` throws means that it broke. */
export function overHttp(task: Task, converse: (exchange: Exchange) => Promise<End>): Link {
  const controller = new AbortController();
  let timer: ReturnType<typeof setTimeout>;
  const within = (ms: number) => {
    clearTimeout(timer);
    timer = setTimeout(() => controller.abort(), ms);
  };
  void converse({ signal: controller.signal, within })
    .catch(() => ({ code: BROKEN, reason: "" }))
    .then((end) => {
      clearTimeout(timer);
      task.end(end);
    });
  return { stop: () => controller.abort() };
}

/**
 * A GET past every cache, with the cookies that a WebSocket would carry, too. The token is in a header, which no log
 * keeps, but to another origin: what may be sent there a server behind the gateway would be asked first.
 */
export function get(task: Task, { signal }: Exchange, accept: string, place: Own): Promise<Response> {
  const { token } = task;
  const own = task.address({}).startsWith(`${globalThis.location?.origin}/`);
  const headers = own && token ? { accept, authorization: `Bearer ${token}` } : { accept };
  const url = task.address(own ? place : { token, ...place });
  return fetch(url, { signal, headers, credentials: "include", cache: "no-store" } as RequestInit);
}

/** What an answer means that is not the one hoped for. */
export async function refusal(answer: Response): Promise<End> {
  // What answered is no gateway.
  if (answer.ok) return { code: 0, reason: "" };
  const seconds = Number(answer.headers.get("retry-after") ?? NaN);
  const reason = (await answer.text()).trim().slice(0, 200);
  return { code: answer.status, reason, hint: seconds >= 0 ? seconds * 1000 : undefined };
}
