// Whether and when to come back, by what a connection ended with. No clock and no randomness: both are the caller's.
// The codes are those of docs/protocol.md, HTTP statuses stand for themselves.

/** Why there is no connection. */
export interface End {
  /** A close code, an HTTP status, or 0: this transport does not lead to a gateway. */
  code: number;
  reason: string;
  /** What the gateway said about coming back, in ms. */
  hint?: number | undefined;
}

/** A connection that broke. */
export const BROKEN = 1006;

const FIRST_MS = 500;
const MOST_MS = 30_000;
const RESTART_MS = 20_000;
const HINT_MOST_MS = 900_000;

/** Whether coming back the same way does not help. `renewed`: it is with another token. */
export function isFinal(code: number, renewed = false): boolean {
  const status = code > 4000 && code < 5000 ? code - 4000 : code;
  if (status >= 400 && status < 500) return ![408, 409, 429, renewed && 401].includes(status);
  return [1000, 1002, 1003, 1007, 1009, 1010].includes(code);
}

/** The time before the next attempt, `failures` of which have failed in a row. `random` is from 0 to 1. */
export function delay(failures: number, { code, hint }: End, random: number): number {
  const most = Math.min(MOST_MS, FIRST_MS * 2 ** failures);
  const spread = random * (code === 1012 ? Math.max(most, RESTART_MS) : most);
  if (hint === undefined) return spread;
  // `Retry-After` says the same to everybody; what comes with a close code was drawn for this client alone.
  return Math.min(hint, HINT_MOST_MS) + (code < 1000 ? spread : 0);
}
