// Where the page is, as a signal that follows the address and is followed by it.

import { signal } from "@preact/signals";
import { format, parse, type Place, takeToken } from "./parts/place.js";

export const place = signal<Place>(parse(takeToken(location.hash).rest));

addEventListener("hashchange", () => (place.value = parse(location.hash)));

/** Goes somewhere; a step back leads here again. */
export function go(path: string[], chosen: Record<string, string> = {}): void {
  location.hash = format({ path, chosen });
}

/** Changes what is chosen where the page is; no step back is made of it. */
export function choose(changes: Record<string, string | undefined>): void {
  const { path, chosen } = place.peek();
  const next = { ...chosen };
  for (const [name, value] of Object.entries(changes)) {
    if (value) next[name] = value;
    else delete next[name];
  }
  place.value = { path, chosen: next };
  history.replaceState(null, "", format(place.value));
}

export function link(path: string[], chosen: Record<string, string> = {}): string {
  return format({ path, chosen });
}
