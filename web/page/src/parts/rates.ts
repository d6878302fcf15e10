// Rates out of totals: what happened in a second, from two looks at counters that only grow. The time is the caller's.

export interface Rates {
  sent: number;
  received: number;
}

interface Look {
  at: number;
  sent: number;
  received: number;
  rates: Rates;
}

/** Over so many milliseconds a rate is smoothed. */
const SMOOTH_MS = 2000;

/** Rates of many connections. What is not looked at any more is forgotten. */
export class Meter {
  #looks = new Map<string, Look>();

  look(rows: { id: string; sent_messages: number; received_messages: number }[], at: number): void {
    const next = new Map<string, Look>();
    for (const { id, sent_messages: sent, received_messages: received } of rows) {
      const before = this.#looks.get(id);
      next.set(id, before ? moved(before, { at, sent, received }) : { at, sent, received, rates: { sent: 0, received: 0 } });
    }
    this.#looks = next;
  }

  of(id: string): Rates {
    return this.#looks.get(id)?.rates ?? { sent: 0, received: 0 };
  }
}

function moved(before: Look, { at, sent, received }: { at: number; sent: number; received: number }): Look {
  const passed = at - before.at;
  if (passed < 100) return before;
  const weight = Math.min(1, passed / SMOOTH_MS);
  const blend = (old: number, delta: number) => {
    const now = Math.max(0, delta) / (passed / 1000);
    const blended = old === 0 ? now : old + (now - old) * weight;
    return blended < 0.01 ? 0 : blended;
  };
  const rates = {
    sent: blend(before.rates.sent, sent - before.sent),
    received: blend(before.rates.received, received - before.received),
  };
  return { at, sent, received, rates };
}

/** What a total gained a second between samples; the first has nothing before it. A total that fell began anew. */
export function slopes(times: number[], totals: number[]): (number | null)[] {
  return totals.map((total, at) => {
    const [before, then] = [totals[at - 1], times[at - 1]];
    if (before === undefined || then === undefined || total < before) return null;
    return (total - before) / Math.max(0.001, (times[at] ?? then) - then);
  });
}
