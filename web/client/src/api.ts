// What users of the module see: the options of `connect`, the four events and the connection. Types only. Where they
// come from is docs/protocol.md; nothing here is on the wire as it stands.

/** How changes of a document come over the wire. `onmessage` gets the whole document either way. */
export type Updates = "json-patch" | "merge-patch";

/** How a connection reached the gateway. */
export type Transport = "websocket" | "sse" | "longpoll";

/** The channel is followed: for the first time, again, by another transport, or its failing source is well again. */
export interface Open {
  /** The place before the next message. */
  position: string;
  /** False: publications between the last position and this one are lost; on documents the newest comes next. */
  recovered: boolean;
  transport: Transport;
}

/** A publication, or the server's answer to what was sent. */
export interface Message<T = unknown> {
  /** JSON as a value, other text as a string, binary as base64. With `updates` it is to be read and not changed. */
  data: T;
  /** Its place; an answer to what was sent has none. */
  position?: string;
  /** What came instead of the whole document, if anything did. */
  patch?: unknown;
  /** The name that a stream behind the channel gave it. */
  event?: string;
}

/** Something failed and the connection goes on, or comes back by itself. */
export interface Failure {
  /** `connection`: it was lost. Others are the gateway's. */
  code: string;
  message: string;
  /** Whether it may be well again without doing anything. */
  retry: boolean;
  /** When a lost connection comes back. */
  reconnect_in_ms?: number;
}

/** The end: nothing follows it. */
export interface Close {
  /** A close code, 1000 for `close()`, or the HTTP status that the gateway or a proxy answered with. */
  code: number;
  reason: string;
}

/** One who follows the channel. Who has two pages open is there twice. */
export interface Member {
  /** The name of the connection. */
  id: string;
  /** Whose token it has. */
  user?: string;
  /** What the token says more. */
  info?: Record<string, unknown>;
}

/** Who follows a channel that tells: all of them, or one who has come or gone. */
export interface Presence {
  /** Those who are here, the first hundred of them. It takes the place of all that was told before. */
  present?: Member[];
  join?: Member;
  leave?: Member;
  /** How many are here. */
  count: number;
}

export interface Options<T = unknown> {
  /** Ask for changes instead of whole documents. */
  updates?: Updates | undefined;
  /** Resume after this position. */
  after?: string | undefined;
  /** The document at `after`; without it a connection with `updates` begins with the newest whole document. */
  document?: T | undefined;
  /**
   * A credential, or what gives one. It is asked for before each connection is opened, so that after a token that has
   * expired the next one counts; with a string that is the end.
   */
  token?: string | (() => string | Promise<string>) | undefined;
  /** How long a transport may take to open before the next one is tried, 8000 ms. */
  patience_ms?: number | undefined;
  onopen?: ((open: Open) => void) | undefined;
  onmessage?: ((message: Message<T>) => void) | undefined;
  /** Who is here, after `onopen` and at each change; over long polls nobody is told. */
  onpresence?: ((presence: Presence) => void) | undefined;
  onerror?: ((failure: Failure) => void) | undefined;
  onclose?: ((close: Close) => void) | undefined;
}

/** One channel, followed over as many connections as it takes. */
export interface Connection {
  /** Ends it for good; `onclose` is called with 1000. */
  close(): void;
  /**
   * Sends a string as text and anything else as JSON. False if nothing was sent, because the present transport cannot:
   * only WebSockets carry messages of clients. A refusal comes as `onerror`; what is longer than the route's
   * `ws_max_message` is the end, with 1009.
   */
  send(data: unknown): boolean;
  /** The last position: hand it to `after` to go on from here. */
  readonly position: string | undefined;
  /** None while there is no connection. */
  readonly transport: Transport | undefined;
}
