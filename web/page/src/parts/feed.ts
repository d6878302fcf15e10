// The WebSocket to /watch: what the page wishes to see, told again after each reconnection, and what comes, handed to who
// wished for it. No socket, clock or randomness of its own: those are the world's, so that tests turn them by hand.

import type { Told, Wish } from "./messages.js";

export type State =
  | { name: "connecting" }
  | { name: "live" }
  | { name: "waiting"; until: number }
  | { name: "refused" };

export interface Link {
  send(text: string): void;
  close(): void;
}

export interface Handlers {
  open(): void;
  text(text: string): void;
  ended(): void;
}

export interface World {
  connect(handlers: Handlers): Link;
  /** The status of a call with the token: a browser does not say why a WebSocket was refused. 0 if nothing answers. */
  ask(): Promise<number>;
  later(milliseconds: number, act: () => void): () => void;
  now(): number;
  random(): number;
  changed(state: State): void;
}

interface Watch {
  wish: Wish;
  told(message: Told): void;
}

const FIRST_MS = 500;
const MOST_MS = 15_000;

/** The time before the next attempt, `failures` of which have failed in a row. */
export function delay(failures: number, random: number): number {
  const most = Math.min(MOST_MS, FIRST_MS * 2 ** failures);
  return most / 2 + (random * most) / 2;
}

export class Feed {
  state: State = { name: "connecting" };
  readonly #world: World;
  readonly #watches = new Map<number, Watch>();
  readonly #asked = new Map<number, (message: Told) => void>();
  #link: Link | undefined;
  #failures = 0;
  #number = 0;
  #stopWaiting = () => {};

  constructor(world: World) {
    this.#world = world;
  }

  start(): void {
    this.#stopWaiting();
    this.#link?.close();
    this.#turn({ name: "connecting" });
    const link = this.#world.connect({
      open: () => link === this.#link && this.#opened(),
      text: (text) => link === this.#link && this.#take(text),
      ended: () => link === this.#link && void this.#ended(),
    });
    this.#link = link;
  }

  /** Shows this from now on, over every reconnection, until the function that it gives is called. */
  watch(wish: Wish, told: (message: Told) => void): () => void {
    const id = ++this.#number;
    this.#watches.set(id, { wish, told });
    if (this.state.name === "live") this.#say({ type: "watch", id, ...wish });
    return () => {
      this.#watches.delete(id);
      if (this.state.name === "live") this.#say({ type: "unwatch", id });
    };
  }

  /** Asks once; the answer is an `error` if there is no connection, or none any more. */
  ask(message: { type: string; [member: string]: unknown }): Promise<Told> {
    const id = ++this.#number;
    const { promise, resolve } = hold<Told>();
    if (this.state.name !== "live") return Promise.resolve(NOT_CONNECTED);
    this.#asked.set(id, resolve);
    this.#say({ ...message, id });
    return promise;
  }

  #say(message: object): void {
    this.#link?.send(JSON.stringify(message));
  }

  #opened(): void {
    this.#failures = 0;
    this.#turn({ name: "live" });
    for (const [id, { wish }] of this.#watches) this.#say({ type: "watch", id, ...wish });
  }

  #take(text: string): void {
    const message = JSON.parse(text) as Told;
    if (message.id === undefined) return;
    const answer = this.#asked.get(message.id);
    if (answer) {
      this.#asked.delete(message.id);
      answer(message);
    } else {
      this.#watches.get(message.id)?.told(message);
    }
  }

  async #ended(): Promise<void> {
    this.#link = undefined;
    for (const answer of this.#asked.values()) answer(NOT_CONNECTED);
    this.#asked.clear();
    const waited = delay(this.#failures++, this.#world.random());
    this.#turn({ name: "waiting", until: this.#world.now() + waited });
    this.#stopWaiting = this.#world.later(waited, () => this.start());
    const status = await this.#world.ask();
    if (this.state.name !== "waiting") return;
    if (status === 401 || status === 403) {
      this.#stopWaiting();
      this.#turn({ name: "refused" });
    }
  }

  #turn(state: State): void {
    this.state = state;
    this.#world.changed(state);
  }
}

const NOT_CONNECTED: Told = { type: "error", message: "there is no connection to the gateway" };

function hold<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => {};
  const promise = new Promise<T>((settle) => (resolve = settle));
  return { promise, resolve };
}
