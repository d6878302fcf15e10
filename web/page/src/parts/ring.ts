// The newest of many, at most so many: what is pushed over the bound pushes the oldest out, and that is counted. Places
// are numbers that stay: the first thing ever pushed has place 0, and it keeps that when it is gone.

export class Ring<T> {
  /** How many were pushed, and so the place of the next. */
  end = 0;
  readonly #most: number;
  #slots: T[] = [];

  constructor(most: number) {
    this.#most = most;
  }

  /** The place of the oldest that is kept. */
  get begin(): number {
    return this.end - this.#slots.length;
  }

  get length(): number {
    return this.#slots.length;
  }

  push(item: T): void {
    if (this.#slots.length < this.#most) this.#slots.push(item);
    else this.#slots[this.end % this.#most] = item;
    this.end += 1;
  }

  /** What is at a place, if it is kept. */
  at(place: number): T | undefined {
    return place < this.begin || place >= this.end ? undefined : this.#slots[place % this.#most];
  }

  /** The same things at the same places. */
  copy(): Ring<T> {
    const made = new Ring<T>(this.#most);
    made.end = this.end;
    made.#slots = [...this.#slots];
    return made;
  }

  clear(): void {
    this.#slots = [];
    this.end = 0;
  }

  /** From the oldest on. */
  *[Symbol.iterator](): Generator<T> {
    for (let place = this.begin; place < this.end; place += 1) yield this.#slots[place % this.#most] as T;
  }
}
