// The one connection to the gateway, its state as signals, and the calls of the admin listener. The token is kept for
// this tab only, and goes nowhere but to the listener that the page came from.

import { signal } from "@preact/signals";
import { Feed, type State, type World } from "./parts/feed.js";
import type { Figures, Sample } from "./parts/messages.js";
import { takeToken } from "./parts/place.js";
import { Ring } from "./parts/ring.js";

const KEY = "tidegate.token";
/** Samples of the figures: half an hour of seconds. */
const SAMPLES = 1800;

export const token = signal<string | undefined>(undefined);
export const feedState = signal<State>({ name: "connecting" });
/** Counts samples as they come; the samples are in `samples`. */
export const sampled = signal(0);
export const samples = new Ring<Sample>(SAMPLES);

/** The status of any call with the token. */
async function status(): Promise<number> {
  try {
    return (await call("/connections?limit=1")).status;
  } catch {
    return 0;
  }
}

const world: World = {
  connect(handlers) {
    const url = new URL("/watch", location.href);
    url.protocol = url.protocol.replace("http", "ws");
    const socket = new WebSocket(url, ["tidegate.watch.v1", `bearer.${token.peek() ?? ""}`]);
    socket.onopen = () => handlers.open();
    socket.onmessage = ({ data }) => handlers.text(String(data));
    socket.onclose = () => handlers.ended();
    return { send: (text) => socket.send(text), close: () => socket.close(1000) };
  },
  ask: status,
  later(milliseconds, act) {
    const timer = setTimeout(act, milliseconds);
    return () => clearTimeout(timer);
  },
  now: Date.now,
  random: Math.random,
  changed: (state) => (feedState.value = state),
};

export const feed = new Feed(world);

/** A call of the admin listener. */
export function call(path: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  headers.set("Authorization", `Bearer ${token.peek() ?? ""}`);
  return fetch(path, { ...init, headers, cache: "no-store", credentials: "omit", redirect: "error" });
}

/** The same, for what is shown or said: the answer's JSON, or the sentence of the refusal. */
export async function ask<T>(path: string, init?: RequestInit): Promise<{ value: T } | { refused: string }> {
  try {
    const answer = await call(path, init);
    if (answer.ok) return { value: (await answer.json()) as T };
    return { refused: (await answer.text()).trim() || `the gateway answers ${answer.status}` };
  } catch {
    return { refused: "the gateway does not answer" };
  }
}

/** Takes the token out of the address, or from this tab's memory; connects if there is one. */
export function begin(): void {
  const { token: given, rest } = takeToken(location.hash);
  if (given !== undefined) {
    sessionStorage.setItem(KEY, given);
    history.replaceState(null, "", location.pathname + (rest || "#/connections"));
  }
  const kept = given ?? sessionStorage.getItem(KEY) ?? undefined;
  if (kept !== undefined) enter(kept);
  feed.watch({ what: "figures" }, (told) => {
    const past = (told["past"] as Sample[] | undefined) ?? [];
    const newest = told["figures"] ? [{ at: told["at"] as number, figures: told["figures"] as Figures }] : [];
    const last = samples.at(samples.end - 1)?.at ?? 0;
    for (const sample of [...past, ...newest]) if (sample.at > last) samples.push(sample);
    sampled.value += 1;
  });
}

/** Connects with this token. */
export function enter(text: string): void {
  sessionStorage.setItem(KEY, text);
  token.value = text;
  feed.start();
}
