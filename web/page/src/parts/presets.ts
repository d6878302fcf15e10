// Which connections a list shows: open, slow, erroring, recently closed; and the plain search among rows that the page
// already has.

import { isFault } from "./codes.js";
import type { Row } from "./messages.js";

export const PRESETS = [
  ["open", "Open", "Connections that are open now"],
  ["slow", "Slow", "Something waits for the client: it does not keep up"],
  ["erroring", "Erroring", "Ended in the last 15 minutes other than by a normal close"],
  ["closed", "Recently closed", "Ended in the last 15 minutes"],
] as const;

export type Preset = (typeof PRESETS)[number][0];

export function presetOf(text: string | undefined): Preset {
  return PRESETS.find(([name]) => name === text)?.[0] ?? "open";
}

export function chosen(preset: Preset, rows: Row[], closed: Row[]): Row[] {
  switch (preset) {
    case "open":
      return rows;
    case "slow":
      return rows.filter((row) => row.queue_bytes > 0).sort((a, b) => b.queue_bytes - a.queue_bytes);
    case "erroring":
      return newest(closed.filter(({ close }) => close !== null && isFault(close.code)));
    case "closed":
      return newest(closed);
  }
}

const newest = (rows: Row[]) => [...rows].sort((a, b) => (b.close?.at ?? 0) - (a.close?.at ?? 0));
