// Events as they come: kept in a ring, filtered, counted where they were lost, and frozen while somebody pauses. It draws
// nothing itself.

import { type Facts, type Filter, filter as compile, type Test } from "./filter.js";
import type { Event } from "./messages.js";
import { Ring } from "./ring.js";

/** Rows that the page keeps. */
export const KEPT = 5000;
/** Batches after the beginning of a watch in which something may be told that was told before. */
const BATCHES_AGAIN = 30;

/** Numbers begin anew where a connection is watched anew: the time, from the minutes on, tells them apart. */
export const idOf = ({ conn = "", n = 0, ts }: Event) => `${conn}:${n}:${ts.slice(14, -1)}`;

export class Stream {
  readonly all = new Ring<Event>(KEPT);
  lost = 0;
  /** Pauses counted in places: what has come since is beyond. */
  frozen: Ring<Event> | undefined;
  filter: Filter = { test: () => true };
  #shown = new Ring<Event>(KEPT);
  #text = "";
  readonly #facts: (event: Event) => Facts;
  #known = new Set<string>();
  #again = 0;

  constructor(facts: (event: Event) => Facts) {
    this.#facts = facts;
  }

  /** What is drawn. */
  get shown(): Ring<Event> {
    return this.frozen ?? this.#shown;
  }

  /** Events that match and have come since the pause. */
  get news(): number {
    return this.frozen ? this.#shown.end - this.frozen.end : 0;
  }

  take(events: Event[], lost: number): void {
    this.lost += lost;
    const test = this.#test();
    if (this.#again > 0 && (this.#again -= 1) === 0) this.#known.clear();
    for (const event of events) {
      if (this.#again > 0 && this.#known.has(idOf(event))) continue;
      this.all.push(event);
      if (test(event)) this.#shown.push(event);
    }
  }

  /** A watch begins, perhaps not the first: the gateway tells what it still has. */
  begun(): void {
    this.#known = new Set([...this.all].map(idOf));
    this.#again = this.#known.size ? BATCHES_AGAIN : 0;
  }

  /** Shows what this filter says; one that cannot be read changes nothing. */
  narrow(text: string): void {
    if (text === this.#text) return;
    this.#text = text;
    this.filter = compile(text, this.#facts);
    if (!("test" in this.filter)) return;
    const frozen = this.frozen !== undefined;
    this.#shown = this.#matching(this.all);
    this.frozen = frozen ? this.#matching(this.all) : undefined;
  }

  pause(paused: boolean): void {
    this.frozen = paused ? this.#shown.copy() : undefined;
  }

  clear(): void {
    this.all.clear();
    this.#shown.clear();
    this.lost = 0;
    if (this.frozen) this.frozen = this.#shown.copy();
  }

  #test(): Test {
    return "test" in this.filter ? this.filter.test : () => true;
  }

  #matching(ring: Ring<Event>): Ring<Event> {
    const [found, test] = [new Ring<Event>(KEPT), this.#test()];
    for (const event of ring) if (test(event)) found.push(event);
    return found;
  }
}
